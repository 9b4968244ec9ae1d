"""A scenario: read, overridden, resolved and checked, ready to be simulated or explained."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from sim import documents
from sim.errors import UserError
from sim.scenario.overrides import Override, overridden, parse_override
from sim.scenario.paths import root
from sim.scenario.resolved import Tree, inlined, resolved, short_form, without_engine_table
from sim.scenario.schema import ScenarioSpec
from sim.scenario.yaml_text import yaml_text

_ENGINE_TABLE = (("deployment", "engine", "family"), ("deployment", "engine", "version"))
"""What brings a table of engine defaults with it."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One question, complete.

    Attributes:
        name: the file's name.
        base: folder that paths in the scenario are relative to.
        tree: the resolved tree, as written: quantities with their units, figures with their sources.
        spec: the same, checked.
        document: the file as read; without its lines where an override may have changed what they say.
        draw: path or group of a figure → u in [0, 1], its quantile; a figure without one takes its value.
    """

    name: str
    base: Path
    tree: Tree
    spec: ScenarioSpec
    document: documents.Document
    draw: Mapping[str, float] | None = None

    def place(self, field: str) -> str:
        """Where a field of the tree stands, as errors begin: the file, and the line if the file states it."""
        stated = field.partition(".")[0] in cast("Tree", self.document.tree)
        line = self.document.line(field.split(".")) if stated else None
        return self.document.name if line is None else f"{self.document.name}:{line}"

    def resolved_text(self, folder: Path | None = None) -> str:
        """The resolved tree as YAML; given a folder, paths of the files it reads are relative to it."""
        if folder is None:
            return yaml_text(self.tree)
        moved: Tree = {"workload": _moved(self.tree["workload"], self.base, folder)}
        if self.spec.tables:
            from sim.timing.measured.installed import PREFIX  # with all that only tables need

            moved["tables"] = [
                table if table.startswith(PREFIX) else _moved_path(table, self.base, folder)
                for table in self.spec.tables
            ]
        return yaml_text(self.tree | moved)

    def write_resolved(self, path: Path) -> None:
        """Writes the resolved scenario, which runs from where it lies.

        Raises:
            UserError: where it cannot be written.
        """
        documents.write_text(path, self.resolved_text(path.parent))

    def drawn(self, draw: Mapping[str, float]) -> "Scenario":
        """This scenario with its figures at these quantiles of their ranges; its tree stays the same."""
        return replace(self, draw=draw)

    def changed(self, sets: Sequence[str]) -> "Scenario":
        """This scenario with further `--set`s, applied from left to right; nothing is read again.

        Raises:
            UserError: naming the override that is wrong.
        """
        if not sets:
            return self
        tree, overrides = _overridden(self.tree, self.base, sets)
        spec = _checked(self.document, self.tree, tree, overrides)
        return replace(self, tree=tree, spec=spec, document=replace(self.document, lines={}))


def load(path: str | Path, sets: Sequence[str] = ()) -> Scenario:
    """Reads a scenario file, applies `--set`s from left to right, and checks it.

    Args:
        sets: overrides as PATH=VALUE, such as "cluster.chip.memory.bandwidth=6TB/s".
    Raises:
        UserError: one sentence naming file, line and field, or the override.
    """
    path = Path(path)
    return scenario_of(documents.load(path), path.parent, sets)


def scenario_of(read: documents.Document, base: Path, sets: Sequence[str] = ()) -> Scenario:
    """The scenario of a document that has been read, or built.

    Args:
        base: folder that paths in it are relative to.
    Raises:
        UserError: as `load`.
    """
    document = short_form(read)
    written = resolved(document, base)
    tree, overrides = _overridden(written, base, sets)
    spec = _checked(document, written, tree, overrides)
    name = Path(document.name).name
    return Scenario(name, base, tree, spec, replace(document, lines={}) if overrides else document)


def _overridden(tree: Tree, base: Path, sets: Sequence[str]) -> tuple[Tree, list[Override]]:
    """The tree with every `--set` in it, and the overrides they were read as."""
    overrides = [parse_override(text) for text in sets]
    for override in overrides:
        if override.path in _ENGINE_TABLE:
            tree = without_engine_table(tree)
        elif override.path[:1] == ("prefill",) and override.path[1:] in _ENGINE_TABLE:
            tree = tree | {"prefill": without_engine_table(cast("Tree", tree["prefill"]))}
        changed = cast("Tree", overridden(override, tree, root(ScenarioSpec)))
        tree = inlined(changed, base, override.place)
    return tree, overrides


def _checked(
    document: documents.Document, written: Tree, tree: Tree, overrides: list[Override]
) -> ScenarioSpec:
    """The tree as a spec; what the file has wrong is told by line, what an override broke by override."""
    if not overrides:
        return documents.validate(ScenarioSpec, tree, document=document)
    try:
        return documents.validate(ScenarioSpec, tree, name=" ".join(f"--set {o.text}" for o in overrides))
    except UserError:
        documents.validate(ScenarioSpec, written, document=document)
        raise


def _moved(node: object, base: Path, folder: Path) -> object:
    """A workload with the paths in it relative to `folder` instead of `base`."""
    if isinstance(node, list):
        return [_moved(item, base, folder) for item in cast("list[object]", node)]
    if not isinstance(node, dict):
        return node
    entries = {key: _moved(value, base, folder) for key, value in cast("Tree", node).items()}
    path = entries.get("path")
    if isinstance(path, str):
        entries["path"] = _moved_path(path, base, folder)
    return entries


def _moved_path(path: str, base: Path, folder: Path) -> str:
    """A path relative to `folder` instead of `base`; an absolute one as it is."""
    return path if Path(path).is_absolute() else os.path.relpath(base / path, folder)

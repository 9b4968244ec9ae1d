"""Reading a catalogue of measured serving cases: one JSON object per line.

A case names a model, chips, layout, precision, engine and workload in the words of its source, and what was
measured. Its fields are described where the catalogue comes from; here are those that a scenario needs.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from sim.errors import UserError

Tree = Mapping[str, object]
_NEEDED = ("id", "category", "model", "gpu", "engine", "workload", "metrics")


@dataclass(frozen=True, slots=True)
class MeasuredCase:
    """One measured configuration.

    Attributes:
        category: the source's own word; label: the catalogue's class, such as "b1 single engine, …".
        hardware: as printed; gpu: normalised.
        devices: accelerators in all, None where it is not known.
        parallelism, precision, workload: as the catalogue has them.
        metrics: values by name, in the unit that the name ends in.
        source: document that the case comes from; raw: per-request data, relative to `folder`.
        folder: where the catalogue lies.
    """

    id: str
    category: str
    label: str
    model: str
    gpu: str
    hardware: str
    devices: int | None
    parallelism: Tree
    precision: Tree
    engine: str
    version: str
    workload: Tree
    metrics: Mapping[str, float]
    quality: str
    notes: str
    source: str
    raw: str | None
    folder: Path

    def number(self, name: str) -> float | None:
        """A number of the workload; None where the catalogue has none."""
        return as_number(self.workload.get(name))

    def count(self, name: str) -> int | None:
        """A whole number of the workload, at least 1."""
        value = self.number(name)
        return None if value is None or value < 1 else int(value)

    def says(self, name: str, *words: str) -> bool:
        """Whether a text of the workload holds one of the words, in any case."""
        text = str(self.workload.get(name) or "").lower()
        return any(word in text for word in words)


def read_cases(path: Path) -> list[MeasuredCase]:
    """The cases of a catalogue, in its order.

    Raises:
        UserError: naming file and line of what cannot be read.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path.name}: cannot be read ({error})") from None
    cases = [_case(path, number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not cases:
        raise UserError(f"{path.name} holds no cases; one JSON object per line is expected")
    return cases


def as_number(value: object) -> float | None:
    """A number, or one written as a text or as a list of one; None for anything else."""
    if isinstance(value, list) and len(cast("list[object]", value)) == 1:
        value = cast("list[object]", value)[0]
    if isinstance(value, bool) or value is None:
        return None
    try:
        return float(cast("float", value))
    except (TypeError, ValueError):
        return None


def _case(path: Path, number: int, line: str) -> MeasuredCase:
    place = f"{path.name}:{number}"
    try:
        tree = cast("object", json.loads(line))
    except ValueError as error:
        raise UserError(f"{place}: not valid JSON ({error})") from None
    if not isinstance(tree, dict):
        raise UserError(f"{place}: a case is a JSON object, found {type(tree).__name__}")
    row = cast("dict[str, object]", tree)
    missing = [name for name in _NEEDED if row.get(name) is None]
    if missing:
        raise UserError(f"{place}: '{missing[0]}' is missing (a case needs: {', '.join(_NEEDED)})")
    engine, source = _mapping(place, row, "engine"), _mapping(place, row, "source")
    devices = as_number(row.get("n_devices"))
    raw = row.get("raw")
    return MeasuredCase(
        id=str(row["id"]),
        category=str(row["category"]),
        label=str(row.get("category_label") or row["category"]),
        model=str(row["model"]),
        gpu=str(row["gpu"]),
        hardware=str(row.get("hardware") or row["gpu"]),
        devices=None if devices is None else int(devices),
        parallelism=_mapping(place, row, "parallelism"),
        precision=_mapping(place, row, "precision"),
        engine=str(engine.get("name") or ""),
        version=str(engine.get("version") or ""),
        workload=_mapping(place, row, "workload"),
        metrics=_values(place, _mapping(place, row, "metrics")),
        quality=str(row.get("quality") or ""),
        notes=str(row.get("notes") or ""),
        source=str(source.get("doc") or ""),
        raw=raw if isinstance(raw, str) else None,
        folder=path.parent,
    )


def _mapping(place: str, row: Tree, name: str) -> Tree:
    value = row.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UserError(f"{place}: '{name}' must be an object, found {value!r}")
    return cast("Tree", value)


def _values(place: str, metrics: Tree) -> dict[str, float]:
    values: dict[str, float] = {}
    for name, entry in metrics.items():
        value = as_number(cast("Tree", entry).get("value") if isinstance(entry, dict) else entry)
        if value is None:
            raise UserError(f"{place}: metrics.{name} must be a number with its unit, found {entry!r}")
        values[name] = value
    return values

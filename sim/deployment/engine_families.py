"""Engine families: which limits and costs an engine has where the user states none.

A family is a file of `sim/deployment/engines/`; its versions are complete tables, so that a
deployment with its table laid under it says everything the engine does.
"""

from collections.abc import Mapping
from copy import deepcopy
from functools import cache
from importlib.resources import files
from typing import cast

from sim.documents import overlaid, parse
from sim.errors import UserError, nearest, unknown

DEFAULT_FAMILY = "vllm"
_UTILIZATION = "gpu_memory_utilization"
_UTILIZATION_ALIAS = "npu_memory_utilization"


@cache
def engine_families() -> tuple[str, ...]:
    """Names of the families that ship, sorted."""
    entries = files("sim.deployment.engines").iterdir()
    return tuple(
        sorted(entry.name.removesuffix(".yaml") for entry in entries if entry.name.endswith(".yaml"))
    )


@cache
def _family(name: str) -> Mapping[str, object]:
    if name not in engine_families():
        raise unknown("engine family", name, engine_families())
    file = f"{name}.yaml"
    text = (files("sim.deployment.engines") / file).read_text(encoding="utf-8")
    return cast("Mapping[str, object]", parse(text, file).tree)


def engine_versions(family: str) -> tuple[str, ...]:
    """Versions of a family that have a table; the default one first.

    Raises:
        UserError: unknown family.
    """
    entry = _family(family)
    default = cast("str", entry["default_version"])
    versions = cast("Mapping[str, object]", entry["versions"])
    return (default, *sorted(version for version in versions if version != default))


def with_engine_defaults(engine: Mapping[str, object]) -> dict[str, object]:
    """The raw `engine:` tree with its family's table laid under it, field by field.

    Raises:
        UserError: unknown family or version; both spellings of the memory share given.
    """
    stated = _with_one_spelling(engine)
    family = stated.get("family", DEFAULT_FAMILY)
    if not isinstance(family, str):
        raise unknown("engine family", str(family), engine_families())
    versions = engine_versions(family)
    version = str(stated.get("version", versions[0]))
    if version not in versions:
        raise UserError(
            f"engine {family} has no table for version '{version}'{nearest(version, versions)} "
            f"(known: {', '.join(versions)})"
        )
    return overlaid(deepcopy(_table(family, version)), {**stated, "family": family, "version": version})


def _table(family: str, version: str) -> dict[str, object]:
    """The complete table of a version; one that is `like` another states only what differs."""
    table = dict(cast("Mapping[str, Mapping[str, object]]", _family(family)["versions"])[version])
    like = table.pop("like", None)
    return table if like is None else overlaid(_table(family, cast("str", like)), table)


def _with_one_spelling(engine: Mapping[str, object]) -> dict[str, object]:
    stated = dict(engine)
    if _UTILIZATION_ALIAS not in stated:
        return stated
    if _UTILIZATION in stated:
        raise UserError(
            f"engine gives both '{_UTILIZATION}' and '{_UTILIZATION_ALIAS}'; they are one field, give one"
        )
    stated[_UTILIZATION] = stated.pop(_UTILIZATION_ALIAS)
    return stated

"""`--set PATH=VALUE`: an assumption changed from the command line, left to right.

PATH is dotted, list items by index. VALUE is YAML; `x1.2` multiplies what is there. Where the schema has
a Figure, the new number is a Figure without a range, basis `assumption`, source `--set`, so that a
result shows what was changed by hand.
"""

import re
from dataclasses import dataclass
from typing import cast

from sim import documents
from sim.errors import UserError, nearest
from sim.scenario.paths import Place

_SCALE = re.compile(r"^x(\d+\.?\d*(?:[eE][-+]?\d+)?)$")
_QUANTITY = re.compile(r"^\s*(\d+\.?\d*(?:[eE][-+]?\d+)?)\s*(\S.*)$")
_ANYTHING = Place((object,))


@dataclass(frozen=True, slots=True)
class Override:
    """One `--set`: as it was typed, its path as keys and indices, and its value's text."""

    text: str
    path: tuple[str | int, ...]
    value: str

    def place(self, _key: str) -> str:
        """Where a changed entry was written."""
        return f"--set {self.text}"

    def refused(self, why: str) -> UserError:
        """The error that names this override."""
        return UserError(f"--set {self.text}: {why}")


def parse_override(text: str) -> Override:
    """Splits `a.b.0.c=value`.

    Raises:
        UserError: without '=' or with an empty part in the path.
    """
    path, equals, value = text.partition("=")
    parts = [part.strip() for part in path.split(".")]
    if not equals or not all(parts):
        raise UserError(f"--set {text}: write PATH=VALUE, as in cluster.chip.memory.bandwidth=6TB/s")
    return Override(text, tuple(int(part) if part.isdecimal() else part for part in parts), value.strip())


def overridden(override: Override, node: object, place: Place, depth: int = 0) -> object:
    """`node`, the tree at part `depth` of the path, with the override in it; `node` itself stays as it is.

    Raises:
        UserError: for a path that neither schema nor tree has, naming the nearest one, and for a value
            that cannot be read or scaled.
    """
    if depth == len(override.path):
        return _new_value(override, place, node)
    key = override.path[depth]
    where = ".".join(map(str, override.path[:depth])) or "the scenario"
    if isinstance(node, list):
        items = list(cast("list[object]", node))
        if not isinstance(key, int) or key >= len(items):
            raise override.refused(f"{where} is a list, whose items are 0 … {len(items) - 1}")
        items[key] = overridden(override, items[key], place.below(key) or _ANYTHING, depth + 1)
        return items
    entries = _entries(override, node, place, where)
    below = place.below(key)
    if below is None and key not in entries:
        known = sorted({*place.names(), *map(str, entries)})
        raise override.refused(
            f"{where} has no '{key}'{nearest(str(key), known)} (known: {', '.join(known) or 'none'})"
        )
    entries[key] = overridden(override, entries.get(key), below or _ANYTHING, depth + 1)
    return entries


def _entries(override: Override, node: object, place: Place, where: str) -> dict[str | int, object]:
    """The mapping at `node`: empty where the file left it out, `value` alone for a plain figure."""
    if isinstance(node, dict):
        return dict(cast("dict[str | int, object]", node))
    if node is None and (place.names() or place.open()):
        return {}
    if place.is_figure:
        return {"value": node}
    raise override.refused(f"{where} is '{node}', which has no parts")


def _new_value(override: Override, place: Place, current: object) -> object:
    value = _value(override, place, current)
    if place.is_figure and not isinstance(value, dict):
        return {"value": value, "basis": "assumption", "source": "--set"}
    return cast("object", value)


def _value(override: Override, place: Place, current: object) -> object:
    scale = _SCALE.match(override.value)
    if scale:
        if isinstance(current, dict):
            current = cast("dict[str, object]", current).get("value")
        return _scaled(override, place.default if current is None else current, float(scale[1]))
    if override.value in ("null", "~"):
        return None
    return documents.parse(override.value, f"--set {override.text}").tree


def _scaled(override: Override, current: object, factor: float) -> object:
    """`current` times `factor`; a quantity keeps its unit, a whole number stays whole (rounded)."""
    if isinstance(current, int) and not isinstance(current, bool):
        return round(current * factor)
    if isinstance(current, float):
        return current * factor
    quantity = _QUANTITY.match(current) if isinstance(current, str) else None
    if not quantity:
        raise override.refused("there is no number to scale")
    return f"{float(quantity[1]) * factor!r} {quantity[2]}"

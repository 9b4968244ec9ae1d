"""Coordinates of points as numbers, for charts: what is no number counts its place among the values."""

import re
from collections.abc import Sequence

_NUMBER = re.compile(r"x?([-+]?\d+\.?\d*(?:[eE][-+]?\d+)?)(?:\s.*|[A-Za-zµ/]*)?\Z")


def distinct(labels: Sequence[str]) -> list[str]:
    """The values of an axis: ascending where all are numbers, otherwise in order of appearance."""
    values = list(dict.fromkeys(labels))
    numbers = [_number(value) for value in values]
    if any(number is None for number in numbers) or len({_unit(value) for value in values}) > 1:
        return values
    return [value for _, value in sorted(zip(numbers, values, strict=True), key=lambda pair: pair[0] or 0.0)]


def coordinates(labels: Sequence[str]) -> list[float]:
    """A number for each label: its own where all have one in the same unit, otherwise its place."""
    numbers = [_number(label) for label in labels]
    if all(number is not None for number in numbers) and len({_unit(label) for label in labels}) == 1:
        return [number for number in numbers if number is not None]
    values = distinct(labels)
    return [float(values.index(label)) for label in labels]


def _number(label: str) -> float | None:
    found = _NUMBER.match(label)
    return float(found[1]) if found else None


def _unit(label: str) -> str:
    found = _NUMBER.match(label)
    factor = "x" if label.startswith("x") else ""
    return factor + label[found.end(1) :].strip() if found else ""

"""One axis of a sweep: the values that a field of the scenario takes.

A list is taken as it is. A range runs from its first to its last value, both included:

    linear       value(u) = first + u · (last - first)
    logarithmic  value(u) = first · (last / first)^u          (the default of factors, x0.5..x2)

with u = 0, 1/(steps-1), … 1 on a grid, and a random u in a Latin hypercube. A range between whole numbers
without a unit takes whole numbers. A factor multiplies what the scenario says.
"""

import json
import re
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, Discriminator, Field, Tag, model_validator

from sim.documents import WRITTEN

STEPS = 5
"""Values of a range on a grid where nothing else is said."""

_END = re.compile(r"\s*(?P<factor>x?)(?P<number>[-+]?\d+\.?\d*(?:[eE][-+]?\d+)?)\s*(?P<unit>[^\d\s.].*)?\Z")


class _End(BaseModel):
    """One end of a range: a factor or not, a number, its unit."""

    factor: bool
    number: float
    whole: bool
    unit: str


class Range(BaseModel):
    """Values from `from` to `to`; as a string, `x0.5..x2`, `1..8` or `"4 TB/s..8 TB/s in 9"`."""

    model_config = WRITTEN

    first: str = Field(alias="from", description="the first value, as `--set` takes it")
    last: str = Field(alias="to", description="the last value, of the same kind")
    steps: Annotated[int, Field(ge=2, le=10_000, strict=True)] = Field(
        default=STEPS, description="values on a grid"
    )
    spacing: Literal["linear", "log"] | None = Field(
        default=None, description="between neighbours; left out: log for factors, linear otherwise"
    )

    @model_validator(mode="before")
    @classmethod
    def _numbers_are_text(cls, raw: object) -> object:
        if not isinstance(raw, dict):
            return raw
        return {
            key: json.dumps(value) if key in ("from", "to") and isinstance(value, int | float) else value
            for key, value in raw.items()  # pyright: ignore[reportUnknownVariableType]
        }

    @model_validator(mode="after")
    def _ends_agree(self) -> Self:
        first, last = self._ends()
        if first.factor != last.factor:
            raise ValueError(f"'{self.first}' and '{self.last}': both ends are factors or none is")
        if first.unit != last.unit:
            raise ValueError(f"'{self.first}' and '{self.last}' must have the same unit")
        if self._logarithmic and min(first.number, last.number) <= 0:
            raise ValueError(f"'{self.first}'..'{self.last}': a logarithmic range must stay above 0")
        return self

    @property
    def _logarithmic(self) -> bool:
        return self._ends()[0].factor if self.spacing is None else self.spacing == "log"

    def _ends(self) -> tuple[_End, _End]:
        first, last = _end(self.first), _end(self.last)
        return (first.model_copy(update={"unit": last.unit}) if not first.unit else first), last

    def at(self, u: float) -> str:
        """The value at u in [0, 1], as `--set` takes it."""
        first, last = self._ends()
        if self._logarithmic:
            number = first.number * (last.number / first.number) ** u
        else:
            number = first.number + u * (last.number - first.number)
        if first.factor:
            return f"x{number:.6g}"
        if first.whole and last.whole and not last.unit:
            return str(round(number))
        return f"{number:.6g} {last.unit}".rstrip()

    def grid(self) -> list[str]:
        """The values of a grid; whole numbers that coincide are taken once."""
        return list(dict.fromkeys(self.at(i / (self.steps - 1)) for i in range(self.steps)))


def _end(text: str) -> _End:
    found = _END.match(text)
    if found is None:
        raise ValueError(f"'{text}' is no end of a range; write x0.5..x2, 1..8 or '4 TB/s..8 TB/s'")
    number = found["number"]
    return _End(
        factor=bool(found["factor"]),
        number=float(number),
        whole=number.lstrip("+-").isdecimal(),
        unit=(found["unit"] or "").strip(),
    )


def _from_text(raw: object) -> object:
    """A range written as one string; anything else stays what it is."""
    if not isinstance(raw, str):
        return raw
    ends, _, steps = raw.partition(" in ")
    first, dots, last = ends.partition("..")
    if not dots:
        raise ValueError(f"'{raw}' is neither a list nor a range; write [4, 8], x0.5..x2 or 1..8 in 8")
    written: dict[str, object] = {"from": first.strip(), "to": last.strip()}
    if steps:
        if not steps.strip().isdecimal():
            raise ValueError(f"'{raw}': after 'in' stands the number of values, as in '1..8 in 8'")
        written["steps"] = int(steps)
    return written


Values = Annotated[list[object], Field(min_length=1)]
Axis = Annotated[
    Annotated[Values, Tag("list")] | Annotated[Range, Tag("Range")],
    Discriminator(lambda raw: "list" if isinstance(raw, list) else "Range"),
    BeforeValidator(_from_text),
]


def grid_values(axis: Values | Range) -> list[str]:
    """The values of an axis on a grid, as `--set` takes them."""
    return axis.grid() if isinstance(axis, Range) else [as_text(value) for value in axis]


def value_at(axis: Values | Range, u: float) -> str:
    """The value at u in [0, 1): a list is cut into equal parts."""
    return axis.at(u) if isinstance(axis, Range) else as_text(axis[int(u * len(axis))])


def as_text(value: object) -> str:
    """A value as `--set` takes it; JSON is YAML."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

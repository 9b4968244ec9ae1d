"""A Figure is a number that says how it is known: value, low, high, basis, source.

Figures live only in schemas. A `Resolution` replaces each by one SI float, its value or, when a draw is
given, a quantile, so that no formula, timer or engine ever sees a Figure.

low … high is the 90 % interval and `value` the median of a two-piece log-normal distribution:

    x(u) = value · (end / value)^|t|,   t = Φ⁻¹(u) / Φ⁻¹(0.95), end = high for t > 0, low for t < 0

so x(0.05) = low, x(0.5) = value, x(0.95) = high, and nothing is negative. Where low is 0 both pieces are
normal, x(u) = value + |t| · (end − value). A figure whose value is its high end, as a datasheet's peak, never
exceeds it. |Φ⁻¹(u)| ends at three deviations, and x at the physical bounds of the field (a share at 1, a
count at 1). Source: the two-piece normal distribution, Wallis, "The two-piece normal, binormal, or double
Gaussian distribution", Statistical Science 29 (2014), here through three quantiles.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal, cast, get_args

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from sim.errors import nearest
from sim.units import (
    BANDWIDTH,
    BYTES,
    ENERGY_PER_BYTE,
    ENERGY_PER_FLOP,
    FLOP_RATE,
    FREQUENCY,
    NUMBER,
    OP_RATE,
    POWER,
    TIME,
    USD,
    USD_PER_HOUR,
    Dimension,
    parse,
    show,
)

Basis = Literal["datasheet", "measured", "press", "estimate", "assumption", "unstated"]
_KEYS = ("value", "low", "high", "basis", "source", "group")


LOW_END, HIGH_END = 0.05, 0.95
"""u of the ends of a range."""
_FARTHEST = 3.0
"""Standard deviations at which a draw ends."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A number in SI units with its 90 % range, basis and source; `group` moves figures together, `bounds` is
    what no draw may leave."""

    value: float
    dimension: Dimension
    low: float | None = None
    high: float | None = None
    basis: Basis = "unstated"
    source: str = ""
    group: str = ""
    bounds: tuple[float, float] = field(default=(0.0, math.inf), compare=False)

    def quantile(self, u: float) -> float:
        """Quantile `u` in [0, 1] of what the figure may be; the value without a range."""
        if self.low is None or self.high is None or self.high <= self.low:
            return self.value
        t = _deviations(u) / _deviations(HIGH_END)
        end = self.high if t > 0 else self.low
        if self.low > 0:
            drawn = self.value * (end / self.value) ** abs(t)
        else:
            drawn = self.value + (end - self.value) * abs(t)
        least, most = self.bounds
        return min(max(drawn, least), most)

    def text(self) -> str:
        """The value with its unit and, if it has one, its range: '16 TFLOP/s (8 … 32)'."""
        shown = show(self.value, self.dimension)
        if self.low is None or self.high is None:
            return shown
        low, high = show(self.low, self.dimension), show(self.high, self.dimension)
        unit = shown.partition(" ")[2]
        if unit and low.endswith(f" {unit}") and high.endswith(f" {unit}"):
            low, high = low.removesuffix(f" {unit}"), high.removesuffix(f" {unit}")
        return f"{shown} ({low} … {high})"


def _deviations(u: float) -> float:
    """Φ⁻¹(u), within ±`_FARTHEST`."""
    from statistics import NormalDist  # only draws need it

    if not 0.0 < u < 1.0:
        return math.copysign(_FARTHEST, u - 0.5)
    return min(max(NormalDist().inv_cdf(u), -_FARTHEST), _FARTHEST)


@dataclass(frozen=True, slots=True)
class Assumption:
    """One figure a result rests on, by its path in the resolved tree."""

    path: str
    text: str
    basis: Basis
    source: str


@dataclass(slots=True)
class Resolution:
    """Turns the Figures of one profile into floats and remembers each of them.

    Args:
        draw: path (or group) → u in [0, 1]; a figure without an entry takes its value.
        prefix: the profile's place in the resolved tree, such as 'cluster.chip'.
        figures: path → figure, of all that were taken.
    """

    prefix: str = ""
    draw: Mapping[str, float] | None = None
    assumptions: list[Assumption] = field(default_factory=list)
    figures: dict[str, Figure] = field(default_factory=dict[str, Figure])

    def within(self, name: str) -> "Resolution":
        """The resolution of a part, one step further in; both remember into the same places."""
        prefix = f"{self.prefix}.{name}" if self.prefix else name
        return Resolution(prefix, self.draw, self.assumptions, self.figures)

    def take(self, path: str, figure: Figure) -> float:
        """The SI float of the figure at `path`, recorded as an assumption of the result."""
        full = f"{self.prefix}.{path}" if self.prefix else path
        self.assumptions.append(Assumption(full, figure.text(), figure.basis, figure.source))
        return self.take_error(path, figure)

    def take_error(self, path: str, figure: Figure) -> float:
        """The SI float of what is no assumption of a profile: the model's own error."""
        full = f"{self.prefix}.{path}" if self.prefix else path
        self.figures[full] = figure
        if not self.draw:
            return figure.value
        u = self.draw.get(figure.group or full)
        return figure.value if u is None else figure.quantile(u)


def parse_figure(raw: object, dimension: Dimension) -> Figure:
    """A Figure from a plain quantity or a mapping with value, low, high, basis, source, group.

    Raises:
        ValueError: for an unknown key, a value outside low…high, a negative or non-finite number.
    """
    if isinstance(raw, Figure):
        if raw.dimension is not dimension:
            raise ValueError(f"a {raw.dimension.name} stands where a {dimension.name} is needed")
        return raw
    if not isinstance(raw, Mapping):
        return Figure(_non_negative(raw, dimension), dimension)
    entry = cast("Mapping[str, object]", raw)
    for key in entry:
        if key not in _KEYS:
            hint = nearest(str(key), _KEYS)
            raise ValueError(f"unknown key '{key}' in a figure{hint} (known: {', '.join(_KEYS)})")
    if "value" not in entry:
        raise ValueError("a figure needs a 'value'")
    value = _non_negative(entry["value"], dimension)
    low, high = (
        None if entry.get(k) is None else _non_negative(entry[k], dimension) for k in ("low", "high")
    )
    if (low is None) != (high is None):
        raise ValueError("a figure's range needs both 'low' and 'high'")
    if low is not None and high is not None and not low <= value <= high:
        raise ValueError(f"value {entry['value']} lies outside {entry['low']} … {entry['high']}")
    basis = entry.get("basis", "unstated")
    if basis not in get_args(Basis):
        raise ValueError(f"basis '{basis}' must be one of {', '.join(get_args(Basis))}")
    source, group = str(entry.get("source", "")), str(entry.get("group", ""))
    return Figure(value, dimension, low, high, cast("Basis", basis), source, group)


def _non_negative(raw: object, dimension: Dimension) -> float:
    number = parse(raw, dimension)
    if number < 0:
        raise ValueError(f"'{raw}' must not be negative")
    return number


def dump_figure(figure: Figure) -> object:
    """The YAML form of a figure, exact: numbers are written in the base unit with full precision."""

    def quantity(x: float) -> object:
        return x if figure.dimension is NUMBER else f"{x!r} {figure.dimension.base}"

    if figure.basis == "unstated" and figure.low is None and not figure.source:
        return quantity(figure.value)
    out: dict[str, object] = {"value": quantity(figure.value)}
    if figure.low is not None and figure.high is not None:
        out |= {"low": quantity(figure.low), "high": quantity(figure.high)}
    out["basis"] = figure.basis
    if figure.source:
        out["source"] = figure.source
    if figure.group:
        out["group"] = figure.group
    return out


class _FigureOf:
    """What pydantic asks of a field that holds a figure of one dimension.

    One hook answers for PlainValidator and PlainSerializer, which would examine the functions and build the
    dataclass's own schema anew at every field: most of what it costs to build the hardware schemas.
    """

    def __init__(self, dimension: Dimension) -> None:
        self._dimension = dimension

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            lambda raw: parse_figure(raw, self._dimension),
            serialization=core_schema.plain_serializer_function_ser_schema(dump_figure),
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, object]:
        plain = {"type": "number"} if self._dimension is NUMBER else {"type": "string"}
        mapping = {
            "type": "object",
            "additionalProperties": False,
            "required": ["value"],
            "properties": {
                "value": plain,
                "low": plain,
                "high": plain,
                "basis": {"enum": list(get_args(Basis))},
                "source": {"type": "string"},
                "group": {"type": "string"},
            },
        }
        return {
            "anyOf": [plain, mapping],
            "description": f"{self._dimension.name}, as in '{self._dimension.example}', plain or as a figure",
        }


BandwidthFigure = Annotated[Figure, _FigureOf(BANDWIDTH)]
BytesFigure = Annotated[Figure, _FigureOf(BYTES)]
FlopRateFigure = Annotated[Figure, _FigureOf(FLOP_RATE)]
OpRateFigure = Annotated[Figure, _FigureOf(OP_RATE)]
TimeFigure = Annotated[Figure, _FigureOf(TIME)]
PowerFigure = Annotated[Figure, _FigureOf(POWER)]
FrequencyFigure = Annotated[Figure, _FigureOf(FREQUENCY)]
EnergyPerFlopFigure = Annotated[Figure, _FigureOf(ENERGY_PER_FLOP)]
EnergyPerByteFigure = Annotated[Figure, _FigureOf(ENERGY_PER_BYTE)]
PriceFigure = Annotated[Figure, _FigureOf(USD)]
HourlyPriceFigure = Annotated[Figure, _FigureOf(USD_PER_HOUR)]
NumberFigure = Annotated[Figure, _FigureOf(NUMBER)]

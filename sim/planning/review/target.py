"""What a review is asked to reach, as a user writes it: 'tokens/s/user >= 30 and ttft <= 1 s'.

    margin of a bound  = ln(value / bound) where more is better, ln(bound / value) where less is
    margin of a target = the least of its bounds'

A target is met where its margin is not negative.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sim.errors import UserError, unknown
from sim.units import NUMBER, TIME, Dimension, parse

Level = Literal["step", "served"]


@dataclass(frozen=True, slots=True)
class Metric:
    """A quantity with a bound; `level` says where it comes from: single steps, or a simulated load."""

    name: str
    title: str
    level: Level
    better: Literal["more", "less"]
    dimension: Dimension = NUMBER


METRICS = (
    Metric("tokens/s/user", "output tokens/s of a user, decode alone", "step", "more"),
    Metric("ttft", "prefill of a prompt on each attention-dp rank", "step", "less", TIME),
    Metric("prompt tokens/s/chip", "prompt tokens/s of a chip, prefill alone", "step", "more"),
    Metric("tokens/s/chip", "output tokens/s of a chip under load", "served", "more"),
    Metric("usd/M tokens", "USD per 1M output tokens under load, chips owned", "served", "less"),
    Metric("J/token", "J per output token under load", "served", "less"),
)
BY_NAME = {metric.name: metric for metric in METRICS}
_BOUND = re.compile(r"\s*(?P<name>.*?)\s*(?P<sign>>=|<=)\s*(?P<value>.+?)\s*\Z")
_SIGNS = {"more": ">=", "less": "<="}


@dataclass(frozen=True, slots=True)
class Bound:
    """A metric and the value it has to reach."""

    metric: Metric
    value: float

    def margin(self, value: float) -> float:
        """By how much a value is better than the bound, as a logarithm; −∞ for one that is unknown."""
        if not value > 0 or not math.isfinite(value):
            return -math.inf
        ratio = value / self.value
        return math.log(ratio if self.metric.better == "more" else 1.0 / ratio)


@dataclass(frozen=True, slots=True)
class Target:
    """Bounds that have to be met together; `text` says them."""

    text: str
    bounds: tuple[Bound, ...]

    @property
    def level(self) -> Level:
        """Served where any bound is about a load, otherwise single steps."""
        return "served" if any(bound.metric.level == "served" for bound in self.bounds) else "step"

    def margin(self, values: Mapping[str, float]) -> float:
        """The least margin of its bounds, metrics by name; −∞ where one is missing."""
        return min(bound.margin(values.get(bound.metric.name, math.nan)) for bound in self.bounds)


def parse_target(text: str) -> Target:
    """The target in a text.

    Raises:
        UserError: naming the text, what is wrong with it and what is allowed.
    """
    return Target(text, tuple(_bound(part, text) for part in text.split(" and ")))


def _bound(part: str, text: str) -> Bound:
    found = _BOUND.match(part)
    if found is None:
        raise UserError(f"--target '{text}': write METRIC >= VALUE or METRIC <= VALUE, joined by 'and'")
    if found["name"] not in BY_NAME:
        raise UserError(f"--target '{text}': {unknown('metric', found['name'], BY_NAME)}")
    metric = BY_NAME[found["name"]]
    if found["sign"] != _SIGNS[metric.better]:
        raise UserError(
            f"--target '{text}': {metric.name} is bounded by {_SIGNS[metric.better]}, not {found['sign']}"
        )
    try:
        value = (
            float(found["value"]) if metric.dimension is NUMBER else parse(found["value"], metric.dimension)
        )
    except ValueError:
        shown = metric.dimension.example
        raise UserError(
            f"--target '{text}': {found['value']} is no {metric.dimension.name}, as in {shown}"
        ) from None
    if not 0 < value < math.inf:
        raise UserError(f"--target '{text}': {found['value']} must be above 0")
    return Bound(metric, value)

"""Replicas that are slower than others: stragglers, thermal throttling, a slow period that is foreseen.

    every step takes factor times as long while the slowdown lasts; overlapping slowdowns multiply

A replica steps at the pace of its slowest chip, so one slow chip slows the whole group.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import Annotated, Literal

from numpy.random import Generator
from pydantic import BaseModel, Field

from sim.documents import WRITTEN
from sim.timing.surface_protocol import Surface
from sim.units import Seconds

Factor = Annotated[float, Field(ge=1, allow_inf_nan=False, description="how much longer a step takes")]
Period = tuple[float, float]
"""(start, end), s."""


class Straggler(BaseModel):
    """A share of the replicas is slower all the time."""

    model_config = WRITTEN

    kind: Literal["straggler"]
    factor: Factor
    share: Annotated[float, Field(gt=0, le=1, description="of the replicas, drawn for each one")]

    def periods(self, replica: int, draws: Generator) -> Iterator[Period]:
        """All the time, or never."""
        if draws.random() < self.share:
            yield 0.0, inf


class Throttling(BaseModel):
    """Each replica is slower now and then, for instance too hot."""

    model_config = WRITTEN

    kind: Literal["throttling"]
    factor: Factor
    every: Annotated[Seconds, Field(gt=0, description="mean time between, exponential, per replica")]
    duration: Annotated[Seconds, Field(gt=0, description="how long each lasts")]

    def periods(self, replica: int, draws: Generator) -> Iterator[Period]:
        """Gaps between periods are exponential."""
        time = 0.0
        while True:
            time += self.every * float(draws.standard_exponential())
            yield time, time + self.duration
            time += self.duration


class Foreseen(BaseModel):
    """One replica is slower from a time on."""

    model_config = WRITTEN

    kind: Literal["foreseen"]
    factor: Factor
    replica: Annotated[int, Field(ge=0, strict=True, description="which, counted from 0")]
    start: Annotated[Seconds, Field(ge=0, description="when it begins")]
    duration: Annotated[Seconds, Field(gt=0, description="how long it lasts")]

    def periods(self, replica: int, draws: Generator) -> Iterator[Period]:
        """The one period, on its replica."""
        if replica == self.replica:
            yield self.start, self.start + self.duration


Slowdown = Annotated[Straggler | Throttling | Foreseen, Field(discriminator="kind")]


@dataclass(frozen=True, slots=True)
class SlowSurface:
    """A surface with every price multiplied by `factor`."""

    surface: Surface
    factor: float

    @property
    def windows(self) -> tuple[int, ...]:
        """Those of the surface."""
        return self.surface.windows

    @property
    def queries(self) -> int:
        """Those of the surface."""
        return self.surface.queries

    def segment(
        self, decodes: int, sums: Sequence[float], growth: Sequence[float]
    ) -> tuple[float, float, int]:
        """First and slope multiplied; a straight line stays straight."""
        first, slope, length = self.surface.segment(decodes, sums, growth)
        return self.factor * first, self.factor * slope, length

    def mixed(self, decodes: int, sums: Sequence[float], chunks: Sequence[tuple[int, int]]) -> float:
        """Multiplied."""
        return self.factor * self.surface.mixed(decodes, sums, chunks)

    def rank_segment(
        self, decodes: int, sums: Sequence[float], growth: Sequence[float]
    ) -> tuple[float, float, int]:
        """As `segment`."""
        first, slope, length = self.surface.rank_segment(decodes, sums, growth)
        return self.factor * first, self.factor * slope, length

    def rank_mixed(self, decodes: int, sums: Sequence[float], chunks: Sequence[tuple[int, int]]) -> float:
        """Multiplied."""
        return self.factor * self.surface.rank_mixed(decodes, sums, chunks)

    def shared(self, tokens: int) -> float:
        """Multiplied."""
        return self.factor * self.surface.shared(tokens)

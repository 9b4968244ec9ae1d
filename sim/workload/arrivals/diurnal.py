"""Arrivals that follow the time of day, with surges: a renewal process with its time changed.

    λ(t) = rate · curve(time of day) · factors of the surges at t

`rate` is the mean over a day without surges. A spike is foreseen (an event, a broadcast); bursts come by
chance, the gap from the end of one to the start of the next being exponential. `cv` above 1 makes
arrivals burstier within minutes, as a gamma process is.
"""

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from sim.documents import WRITTEN
from sim.units import Seconds
from sim.workload.arrivals.gamma import Variation
from sim.workload.arrivals.renewal import Policy, Rate, renewal_times
from sim.workload.curves import Curve
from sim.workload.curves.daily import DAY
from sim.workload.extent import Extent
from sim.workload.gaps import unit_gaps
from sim.workload.rate import RateOverTime, Surge, daily_rate

Factor = Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True, description="on the rate")]
Length = Annotated[Seconds, Field(gt=0, description="how long it lasts")]


class Spike(BaseModel):
    """A surge that is foreseen."""

    model_config = WRITTEN

    at: Annotated[Seconds, Field(ge=0, description="time from the run's begin")]
    duration: Length
    factor: Factor


class Bursts(BaseModel):
    """Surges by chance."""

    model_config = WRITTEN

    every: Annotated[Seconds, Field(gt=0, description="mean time from the end of one to the next")]
    duration: Length
    factor: Factor


class Diurnal(Policy):
    """A rate that follows the time of day."""

    process: Literal["diurnal"]
    rate: Rate = Field(description="requests per second, mean over a day without spikes and bursts")
    curve: Curve = Field(description="how the rate changes over the day")
    start: Annotated[Seconds, Field(ge=0, lt=DAY)] = Field(
        default=0.0, description="time of day at which the run begins"
    )
    day: Annotated[Seconds, Field(gt=0)] = Field(
        default=DAY, description="how long a day of the curve takes; shorter ones keep the rate"
    )
    cv: Variation = Field(default=1.0, description="burstiness on the curve's own time; 1 is Poisson")
    spikes: tuple[Spike, ...] = Field(default=(), description="surges that are foreseen")
    bursts: Bursts | None = Field(default=None, description="surges by chance")

    def times(self, extent: Extent, draws: np.random.Generator) -> NDArray[np.float64]:
        """Arrival times, s."""
        expected = extent.expected(self.rate)  # refuses what is too many
        gaps, onsets = draws.spawn(2)
        bursts = _BurstsSoFar(self.bursts, onsets)
        if extent.count is None:
            assert extent.duration is not None
            rate = self._rate(extent.duration, bursts)
            within = Extent(None, float(rate.total[-1]))
            return rate.times(renewal_times(unit_gaps("gamma", self.cv, gaps), 1.0, within))
        unit = np.cumsum(unit_gaps("gamma", self.cv, gaps)(extent.count))
        rate = self._rate(extent.duration or expected / self.rate + self.day, bursts)
        while extent.duration is None and rate.total[-1] < unit[-1]:
            rate = self._rate(2 * float(rate.edges[-1]), bursts)
        return rate.times(unit[unit <= rate.total[-1]])

    def _rate(self, horizon: float, bursts: "_BurstsSoFar") -> RateOverTime:
        spikes = [Surge(s.at, s.at + s.duration, s.factor) for s in self.spikes]
        surges = [*spikes, *bursts.until(horizon)]
        curve = self.curve.points()
        return daily_rate(self.rate, curve, day=self.day, start=self.start, horizon=horizon, surges=surges)


class _BurstsSoFar:
    """Bursts drawn as far as somebody looked: a longer run has those of the shorter one."""

    def __init__(self, bursts: Bursts | None, draws: np.random.Generator) -> None:
        self.bursts = bursts
        self.draws = draws
        self.drawn: list[Surge] = []

    def until(self, horizon: float) -> list[Surge]:
        """Every burst that starts before the horizon (s), and one more."""
        bursts = self.bursts
        if bursts is None:
            return []
        while not self.drawn or self.drawn[-1].start < horizon:
            end = self.drawn[-1].end if self.drawn else 0.0
            start = end + bursts.every * float(self.draws.standard_exponential())
            self.drawn.append(Surge(start, start + bursts.duration, bursts.factor))
        return self.drawn

"""A sinusoid: factor(t) = 1 + (peak_to_mean - 1)·cos(2π (t - peak)/24 h), as straight lines of 15 minutes.

A chord of angle h lies at most h²/8 of the amplitude inside its arc: 0.05 %.
"""

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from sim.units import Seconds
from sim.workload.curves.daily import DAY, DailyCurve, Points, of_mean_one

POINTS = 96


class SinusoidCurve(DailyCurve):
    """One maximum and one minimum a day, twelve hours apart."""

    shape: Literal["sinusoid"]
    peak: Annotated[Seconds, Field(ge=0, lt=DAY, description="time of day of the maximum")]
    peak_to_mean: Annotated[
        float, Field(ge=1, le=2, strict=True, description="rate at the peak over the mean")
    ]

    def points(self) -> Points:
        """Times of day (s) and factors."""
        times = np.linspace(0, DAY, POINTS, endpoint=False)
        swing = np.cos(2 * np.pi * (times - self.peak) / DAY)
        return of_mean_one(times, 1 + (self.peak_to_mean - 1) * swing)

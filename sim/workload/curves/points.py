"""A curve by points: the rate relative to any scale at some times of day, straight lines between them."""

from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from sim.units import Seconds
from sim.workload.curves.daily import DAY, DailyCurve, Points, of_mean_one

Factor = Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)]


class PointsCurve(DailyCurve):
    """Rates at times of day; only their proportions count."""

    shape: Literal["points"]
    times: Annotated[
        tuple[Annotated[Seconds, Field(ge=0, lt=DAY)], ...],
        Field(min_length=1, description="times of day, ascending"),
    ]
    factors: Annotated[tuple[Factor, ...], Field(min_length=1, description="relative rate at each of them")]

    @model_validator(mode="after")
    def _points_are_a_curve(self) -> Self:
        if len(self.times) != len(self.factors):
            raise ValueError(f"{len(self.times)} times for {len(self.factors)} factors")
        if any(b <= a for a, b in zip(self.times, self.times[1:], strict=False)):
            raise ValueError("times must ascend")
        if not any(self.factors):
            raise ValueError("at least one factor must be above 0")
        return self

    def points(self) -> Points:
        """Times of day (s) and factors."""
        return of_mean_one(np.array(self.times), np.array(self.factors))

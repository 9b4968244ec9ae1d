"""Gamma arrivals: independent gaps of mean 1/rate and coefficient of variation cv.

shape k = 1/cv² = burstiness (vLLM's name: 1 is Poisson, below 1 burstier)
"""

from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from sim.workload.arrivals.renewal import Policy, Rate, renewal_times
from sim.workload.extent import Extent
from sim.workload.gaps import unit_gaps

# Beyond a hundredfold, nearly every gap is zero and the rate is carried by a handful of pauses.
Variation = Annotated[float, Field(ge=0.01, le=100, strict=True)]
Shape = Annotated[float, Field(ge=1e-4, le=1e4, strict=True)]


class Gamma(Policy):
    """Bursty (cv > 1) or regular (cv < 1) arrivals at a mean rate; give `cv` or `burstiness` = 1/cv²."""

    process: Literal["gamma"]
    rate: Rate
    cv: Variation | None = Field(default=None, description="coefficient of variation of the gaps")
    burstiness: Shape | None = Field(default=None, description="shape of the gamma distribution, 1/cv²")

    @model_validator(mode="after")
    def _one_measure_of_burstiness(self) -> Self:
        if (self.cv is None) == (self.burstiness is None):
            raise ValueError("gamma arrivals need either 'cv' or 'burstiness'")
        return self

    @property
    def variation(self) -> float:
        """Coefficient of variation of the gaps."""
        if self.cv is not None:
            return self.cv
        assert self.burstiness is not None
        return self.burstiness**-0.5

    def times(self, extent: Extent, draws: np.random.Generator) -> NDArray[np.float64]:
        """Arrival times, s."""
        return renewal_times(unit_gaps("gamma", self.variation, draws), self.rate, extent)

"""Times between an answer and what follows it: a user thinks, a tool runs. Lognormal."""

import math
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from sim.documents import WRITTEN
from sim.units import Seconds


class Pause(BaseModel):
    """A lognormal time."""

    model_config = WRITTEN

    mean: Annotated[Seconds, Field(ge=0, description="mean")]
    cv: Annotated[float, Field(ge=0, le=100, strict=True)] = Field(
        default=1.0, description="coefficient of variation; 0: always the mean"
    )

    def sample(self, count: int, draws: np.random.Generator) -> NDArray[np.float64]:
        """s."""
        return lognormal(self.mean, self.cv, draws.standard_normal(count))


def lognormal(mean: float, cv: float, normal: NDArray[np.float64]) -> NDArray[np.float64]:
    """mean · exp(σ·z - σ²/2) with σ² = ln(1 + cv²), of standard normal z."""
    variance = math.log1p(cv**2)
    return mean * np.exp(math.sqrt(variance) * normal - variance / 2)

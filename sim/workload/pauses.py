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
        variance = math.log1p(self.cv**2)
        return self.mean * np.exp(math.sqrt(variance) * draws.standard_normal(count) - variance / 2)

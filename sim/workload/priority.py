"""Priorities, for engines with `policy: priority`: smaller is more urgent."""

from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, model_validator

from sim.documents import WRITTEN
from sim.workload.choice import chosen
from sim.workload.streams import stream

Priority = Annotated[int, Field(ge=-(2**31), le=2**31, strict=True)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)]


class PriorityMix(BaseModel):
    """Requests get one of `values`, with probability in proportion to its weight."""

    model_config = WRITTEN

    values: Annotated[tuple[Priority, ...], Field(min_length=1, description="smaller is more urgent")]
    weights: tuple[Weight, ...] | None = Field(default=None, description="all alike if left out")

    @model_validator(mode="after")
    def _weights_match(self) -> Self:
        if self.weights is not None and len(self.weights) != len(self.values):
            raise ValueError(f"{len(self.weights)} weights for {len(self.values)} values")
        if self.weights is not None and not sum(self.weights) > 0:
            raise ValueError("at least one weight must be above 0")
        return self

    def sample(self, count: int, seed: int) -> NDArray[np.int64]:
        """The priority of each request."""
        weights = np.ones(len(self.values)) if self.weights is None else np.array(self.weights)
        place = chosen(weights, stream(seed, "priority").random(count))
        return np.array(self.values, np.int64)[place]

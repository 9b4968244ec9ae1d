"""Every request has the same length."""

from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from sim.workload.lengths.bounds import Bounded, Tokens


class ConstantLength(Bounded):
    """One value."""

    distribution: Literal["constant"]
    value: Tokens = Field(description="length of every request")

    @model_validator(mode="after")
    def _within_its_own_bounds(self) -> Self:
        if self.value < self.min or (self.max is not None and self.value > self.max):
            raise ValueError(f"value {self.value} lies outside its bounds {self.min} … {self.max or 'any'}")
        return self

    def sample(self, u: NDArray[np.float64], base: Path | None = None) -> NDArray[np.int64]:
        """Lengths of the requests with these uniforms."""
        return np.full(len(u), self.value, np.int64)

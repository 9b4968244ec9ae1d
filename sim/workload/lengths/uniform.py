"""Every whole length from `low` to `high`, both included, equally often."""

from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from sim.workload.lengths.bounds import Bounded, Tokens


class Uniform(Bounded):
    """Equally likely lengths."""

    distribution: Literal["uniform"]
    low: Tokens = Field(description="shortest length")
    high: Tokens = Field(description="longest length")

    @model_validator(mode="after")
    def _some_length_is_left(self) -> Self:
        if self._lowest > self._highest:
            raise ValueError(
                f"no length lies between low {self.low} and high {self.high} within the bounds "
                f"{self.min} … {self.max or 'any'}"
            )
        return self

    @property
    def _lowest(self) -> int:
        return max(self.low, self.min)

    @property
    def _highest(self) -> int:
        return self.high if self.max is None else min(self.high, self.max)

    def sample(self, u: NDArray[np.float64], base: Path | None = None) -> NDArray[np.int64]:
        """Lengths of the requests with these uniforms."""
        count = self._highest - self._lowest + 1
        return self._lowest + np.minimum(u * count, count - 1).astype(np.int64)

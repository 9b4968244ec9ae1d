"""What all length distributions share: whole tokens, at least one, within `min` and `max`.

A bound is a condition, not a clip: the distribution is cut off and what is left rescaled,
    u' = F(min - ½) + u · (F(max + ½) - F(min - ½)),
so that no mass piles up on the bound.
"""

from collections.abc import Callable
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, model_validator

from sim.documents import WRITTEN
from sim.workload.limits import MOST_TOKENS

Tokens = Annotated[int, Field(ge=1, le=MOST_TOKENS, strict=True)]
Mean = Annotated[float, Field(ge=1, le=MOST_TOKENS, strict=True, description="mean before bounds, tokens")]
Variation = Annotated[float, Field(gt=0, le=100, strict=True, description="standard deviation / mean")]


class Bounded(BaseModel):
    """A distribution of lengths between `min` and `max` tokens."""

    model_config = WRITTEN

    min: Tokens = Field(default=1, description="shortest length that occurs")
    max: Tokens | None = Field(default=None, description="longest length that occurs")

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        if self.max is not None and self.max < self.min:
            raise ValueError(f"max {self.max} is below min {self.min}")
        return self

    def within_bounds(
        self, u: NDArray[np.float64], cumulative: Callable[[float], float]
    ) -> NDArray[np.float64]:
        """Uniforms moved into the part of the distribution between the bounds.

        Raises:
            ValueError: hardly anything (under 1e-9) lies between them.
        """
        low = cumulative(self.min - 0.5)
        high = 1.0 if self.max is None else cumulative(self.max + 0.5)
        if high - low < 1e-9:
            place = f"{self.min} or more" if self.max is None else f"between {self.min} and {self.max}"
            raise ValueError(f"hardly any length of this distribution is {place}")
        return low + u * (high - low)

    def rounded(self, lengths: NDArray[np.float64]) -> NDArray[np.int64]:
        """Whole tokens within the bounds."""
        return np.clip(np.rint(lengths), self.min, self.max or MOST_TOKENS).astype(np.int64)

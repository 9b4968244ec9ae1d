"""Lengths from published percentiles: between two, the logarithm of the length is linear in probability."""

from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from sim.workload.lengths.bounds import Bounded, Tokens

Probability = Annotated[float, Field(ge=0, le=1, strict=True)]


class Quantiles(Bounded):
    """A distribution known by points: P(length ≤ tokens[i]) = probabilities[i], from 0 to 1."""

    distribution: Literal["quantiles"]
    probabilities: Annotated[tuple[Probability, ...], Field(min_length=2, description="ascending, 0 to 1")]
    tokens: Annotated[tuple[Tokens, ...], Field(min_length=2, description="length at each of them")]

    @model_validator(mode="after")
    def _points_ascend_from_0_to_1(self) -> Self:
        if len(self.probabilities) != len(self.tokens):
            raise ValueError(f"{len(self.probabilities)} probabilities for {len(self.tokens)} token counts")
        if self.probabilities[0] != 0 or self.probabilities[-1] != 1:
            raise ValueError("probabilities must run from 0 to 1")
        if any(b <= a for a, b in zip(self.probabilities, self.probabilities[1:], strict=False)):
            raise ValueError("probabilities must ascend")
        if any(b < a for a, b in zip(self.tokens, self.tokens[1:], strict=False)):
            raise ValueError("tokens must not descend")
        return self

    def sample(self, u: NDArray[np.float64], base: Path | None = None) -> NDArray[np.int64]:
        """Lengths of the requests with these uniforms."""
        inside = self.within_bounds(u, self._cumulative)
        return self.rounded(np.exp(np.interp(inside, self.probabilities, np.log(self.tokens))))

    def _cumulative(self, tokens: float) -> float:
        """P(length ≤ tokens); at a step (equal token counts) its upper end, below the first point 0."""
        below = [i for i, value in enumerate(self.tokens) if value <= tokens]
        if not below:
            return 0.0
        i = below[-1]
        if i == len(self.tokens) - 1:
            return 1.0
        rise = np.log(tokens / self.tokens[i]) / np.log(self.tokens[i + 1] / self.tokens[i])
        return float(self.probabilities[i] + rise * (self.probabilities[i + 1] - self.probabilities[i]))

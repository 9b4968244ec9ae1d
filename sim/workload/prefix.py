"""Shared prefixes: every request starts with one of a few system prompts.

Group g of 1 … groups is chosen with probability ∝ g^-skew (0: all alike). A prompt is the prefix of its
group followed by `prompt_tokens` of its own, as vLLM's `--random-prefix-len` adds to `--random-input-len`.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from sim.documents import WRITTEN
from sim.workload.choice import chosen
from sim.workload.lengths import Lengths
from sim.workload.streams import stream


class SharedPrefix(BaseModel):
    """System prompts in front of the requests' own text."""

    model_config = WRITTEN

    groups: Annotated[int, Field(ge=1, le=1_000_000, strict=True)] = Field(
        default=1, description="different system prompts"
    )
    tokens: Lengths = Field(description="length of each system prompt")
    share: Annotated[float, Field(gt=0, le=1, strict=True)] = Field(
        default=1.0, description="share of requests that have one"
    )
    skew: Annotated[float, Field(ge=0, le=10, strict=True)] = Field(
        default=0.0, description="exponent of the groups' popularity"
    )

    def group_tokens(self, seed: int, base: Path | None) -> NDArray[np.int64]:
        """Length of each system prompt."""
        return self.tokens.sample(stream(seed, "prefix_tokens").random(self.groups), base)

    def groups_of(self, count: int, seed: int) -> NDArray[np.int64]:
        """The group of each request, -1 for none."""
        weight = np.arange(1, self.groups + 1, dtype=float) ** -self.skew
        draws = stream(seed, "prefix").random((count, 2))
        return np.where(draws[:, 1] < self.share, chosen(weight, draws[:, 0]), -1)

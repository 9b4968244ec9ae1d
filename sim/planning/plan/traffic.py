"""The traffic as the few numbers that screening needs, from the very requests that are simulated.

decode steps of a request = output − 1;  context of a decode step = prompt + tokens generated so far
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.workload.requests import Requests

Floats = NDArray[np.float64]
_POSITIONS = (np.arange(8) + 0.5) / 8
_FEWEST_STEPS = 0.01
_PROMPTS = 12


@dataclass(frozen=True, slots=True)
class Traffic:
    """Means over requests, and the requests themselves.

    Attributes:
        prompt, output: tokens of each request.
        fresh: share of prompt tokens that no cache can hold (1 where prompts share nothing).
        context: tokens that a decode step reads, the mean over all of them.
    """

    prompt: Floats
    output: Floats
    fresh: float
    context: float

    @property
    def mean_prompt(self) -> float:
        """Prompt tokens of a request that have to be computed."""
        return float(self.prompt.mean()) * self.fresh

    @property
    def decode_steps(self) -> float:
        """Decode steps of a request, never quite none."""
        return max(float((self.output - 1).mean()), _FEWEST_STEPS)

    def read(self, window: int | None) -> float:
        """Mean over decode steps of min(context, window)."""
        return _mean_context(self.prompt, self.output, window)

    def prompts(self) -> list[int]:
        """Prompts that stand for all: the middle of each of a few equal parts of the distribution."""
        ordered = np.sort(self.prompt)
        count = min(_PROMPTS, len(ordered))
        return [int(part[len(part) // 2]) for part in np.array_split(ordered, count)]


def traffic(requests: Requests, caching: bool) -> Traffic:
    """The traffic of these requests.

    Args:
        caching: whether the engine keeps the blocks of equal prefixes.
    """
    fresh = 1.0
    if caching and requests.pieces is not None:
        longest: dict[int, int] = {}
        for pieces in requests.pieces:
            for segment, length in pieces:
                longest[segment] = max(longest.get(segment, 0), length)
        fresh = min(1.0, sum(longest.values()) / float(requests.prompt_tokens.sum()))
    prompt, output = requests.prompt_tokens.astype(np.float64), requests.output_tokens.astype(np.float64)
    return Traffic(prompt, output, fresh, _mean_context(prompt, output, None))


def _mean_context(prompt: Floats, output: Floats, window: int | None) -> float:
    steps = np.maximum(output - 1, _FEWEST_STEPS)
    context = prompt[:, None] + 1 + steps[:, None] * _POSITIONS
    if window is not None:
        context = np.minimum(context, window)
    return float((context.mean(axis=1) * steps).sum() / steps.sum())

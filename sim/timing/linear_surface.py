"""A step that costs a + b·tokens + c·context: the step time of the scheduler's conformance traces.

Works on any number type; with integers every time is exact.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LinearSurface:
    """duration = fixed + per_token · Σ new + per_context · Σ (past + new), over all sequences of the step; a
    decode computes `queries` new tokens."""

    fixed: float
    per_token: float
    per_context: float
    windows: tuple[int, ...] = ()
    queries: int = 1

    def segment(
        self, decodes: int, sums: Sequence[float], growth: Sequence[float]
    ) -> tuple[float, float, int]:
        """One straight line for ever."""
        first = self.fixed + self.per_token * decodes * self.queries + self.per_context * sums[0]
        return first, self.per_context * growth[0], 1 << 60

    def mixed(self, decodes: int, sums: Sequence[float], chunks: Sequence[tuple[int, int]]) -> float:
        """The same sum with the chunks' tokens and contexts."""
        tokens, context = decodes * self.queries, sums[0]
        for new, past in chunks:
            tokens += new
            context += past + new
        return self.fixed + self.per_token * tokens + self.per_context * context

    def rank_segment(
        self, decodes: int, sums: Sequence[float], growth: Sequence[float]
    ) -> tuple[float, float, int]:
        """Everything but the fixed part, which the ranks share."""
        first, slope, length = self.segment(decodes, sums, growth)
        return first - self.fixed, slope, length

    def rank_mixed(self, decodes: int, sums: Sequence[float], chunks: Sequence[tuple[int, int]]) -> float:
        """Everything but the fixed part, which the ranks share."""
        return self.mixed(decodes, sums, chunks) - self.fixed

    def shared(self, tokens: int) -> float:
        """The fixed part, once for all ranks."""
        return self.fixed if tokens else 0

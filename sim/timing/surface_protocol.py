"""How the engine asks for prices: a decode-only run as straight segments, a mixed step as one number.

`Time` is the engine's number type: seconds as float in `run`, integer nanoseconds in conformance.
The engine keeps `sums`: sums[0] = Σ context of the decodes (this step's tokens included) and
sums[1 + j] = Σ min(context, windows[j]); `growth` is what one further step adds to each.
"""

from collections.abc import Sequence
from typing import Protocol, TypeAlias

Time: TypeAlias = float


class Surface(Protocol):
    """Prices of engine steps. With attention data parallelism a step is
    max over ranks of `rank_*` plus `shared(tokens of all ranks)`; alone it is `segment` or `mixed`."""

    @property
    def windows(self) -> tuple[int, ...]:
        """Window lengths whose Σ min(context, w) the engine must carry, in the order of `sums`."""
        ...

    @property
    def queries(self) -> int:
        """Tokens that a decode computes in a step: 1, and one more for each draft it verifies."""
        ...

    def segment(self, decodes: int, sums: Sequence[float], growth: Sequence[float]) -> tuple[Time, Time, int]:
        """(first, slope, length): decode-only step i (0 ≤ i < length) takes first + slope·i; length ≥ 1."""
        ...

    def mixed(self, decodes: int, sums: Sequence[float], chunks: Sequence[tuple[int, int]]) -> Time:
        """Duration of one step with prefill chunks (new, past) beside the decodes."""
        ...

    def rank_segment(
        self, decodes: int, sums: Sequence[float], growth: Sequence[float]
    ) -> tuple[Time, Time, int]:
        """As `segment`, without the part that all data-parallel ranks share."""
        ...

    def rank_mixed(self, decodes: int, sums: Sequence[float], chunks: Sequence[tuple[int, int]]) -> Time:
        """As `mixed`, without the part that all data-parallel ranks share."""
        ...

    def shared(self, tokens: int) -> Time:
        """The part of a step that all ranks do together (experts and their exchange) on `tokens` in all."""
        ...

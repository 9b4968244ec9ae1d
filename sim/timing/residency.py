"""What a repeated measurement finds in the last shared level of on-chip memory.

  hit(s) = 1 where s ≤ φ·S, (φ·S/s)⁴ beyond            s working set of one round, S bytes of the level

A benchmark that executes one operator over and over on the same operands keeps small ones on the chip; a
step of a model, which touches gigabytes between two executions of an operator, does not. Only the
comparison with such measurements uses this. φ is 0.3 (0.2 to 0.45 in fits of A100 to GB200, aiconfigurator
tables): a set-associative cache under streaming replacement keeps less than its size.
"""

from dataclasses import dataclass

import numpy as np

from sim.operators.quantities import Array

KEPT_SHARE = 0.3
FALL = 4.0
STREAMED_SHARE = 0.65
"""Share of the level's bandwidth that one streaming kernel gets: 0.88 and 0.44 in quantisation kernels of
H100 and B200 (aiconfigurator tables), about 5 TB/s on both."""


@dataclass(frozen=True, slots=True)
class Residency:
    """A measurement's rounds.

    Attributes:
        shared: bytes of the shared level; bandwidth: B/s at which it delivers.
        copies: how many copies of the weights a round goes through, fewer where these already exceed `enough`
            bytes.
    """

    shared: float
    bandwidth: float
    copies: int = 1
    enough: float = float("inf")

    def rounds(self, weights: float) -> float:
        """Bytes of weights that one round goes through."""
        return weights * max(1.0, min(float(self.copies), float(np.ceil(self.enough / weights))))

    def streamed(self, moved: Array) -> Array:
        """Seconds in which one streaming kernel moves these bytes through the level."""
        return moved / (STREAMED_SHARE * self.bandwidth)

    def missed(self, moved: Array, working_set: Array) -> Array:
        """The part of `moved` bytes that is not found on the chip."""
        kept = KEPT_SHARE * self.shared / np.maximum(working_set, 1.0)
        return moved * (1.0 - np.minimum(kept, 1.0) ** FALL)

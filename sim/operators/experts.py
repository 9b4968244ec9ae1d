"""The routed experts of one MoE layer: two grouped products whose shapes follow the sampled loads."""

from dataclasses import dataclass

import numpy as np

from sim.models.dtypes import weight_bytes_per_value
from sim.operators.access import Access
from sim.operators.loads import ExpertLoads
from sim.operators.quantities import ACTIVATION_BYTES, Array


@dataclass(frozen=True, slots=True)
class Experts:
    """The routed experts of one MoE layer on the busiest rank: two grouped products and what surrounds them.

    flops = 2 · matrices · hidden · inter · pairs on a rank
    hbm   = active experts · matrices · hidden · inter · weight bytes + tokens in and out

    The loads hold every rank in every seeded draw; a time is the mean over draws of the slowest rank.
    `flops` and `hbm_bytes` are the mean over draws of the rank with most of each.

    Attributes:
        inter: expert width on this chip; gathered: every chip holds every token (no dispatch before it).
    """

    name: str
    group: str
    count: int
    loads: ExpertLoads
    hidden: int
    inter: int
    gated: bool
    weights: str
    activations: str
    arithmetic: str
    gathered: bool

    @property
    def access(self) -> Access:
        """Matrices of the experts that were picked, several side by side."""
        return Access("gather", "expert weights", self.expert_bytes)

    @property
    def up_columns(self) -> int:
        """Columns of the first product: gate and up side by side."""
        return self.inter * (2 if self.gated else 1)

    @property
    def arriving(self) -> Array:
        """Distinct tokens with an expert on a rank, at most, by (case, draw, rank)."""
        return np.minimum(self.loads.pairs, self.loads.tokens[:, None, None])

    @property
    def handled(self) -> Array:
        """Tokens a rank's kernels go through, by (case, draw, rank)."""
        return self.loads.tokens[:, None, None] if self.gathered else self.arriving

    @property
    def rank_flops(self) -> Array:
        """FLOPs by (case, draw, rank)."""
        return 2.0 * self.hidden * (self.up_columns + self.inter) * self.loads.pairs

    @property
    def expert_bytes(self) -> float:
        """Bytes of one expert's matrices on this chip."""
        return self.hidden * (self.up_columns + self.inter) * weight_bytes_per_value(self.weights)

    @property
    def rank_bytes(self) -> Array:
        """Compulsory bytes by (case, draw, rank): weights of active experts, tokens read and written."""
        return self.expert_bytes * self.loads.active + 2.0 * ACTIVATION_BYTES * self.hidden * self.arriving

    @property
    def flops(self) -> Array:
        """Mean over draws of the busiest rank."""
        return self.rank_flops.max(axis=2).mean(axis=1)

    @property
    def hbm_bytes(self) -> Array:
        """Mean over draws of the rank that reads most."""
        return self.rank_bytes.max(axis=2).mean(axis=1)

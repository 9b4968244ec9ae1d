"""Direct exchange: every chip sends every other its own piece at once.

  all-to-all   2·log2 n steps, S(n−1)/n sent, over `detour` links each in a ring or torus
Pieces up to 16 KiB go flagged, larger ones in bulk, as the library's point-to-point transfers do: they
start `direct_launches` after the call, sooner than a ring's chunks.

Source: NCCL's NCCL_P2P_LL_THRESHOLD of 16 KiB (its documentation); the rest fitted as in `protocols`.
"""

from dataclasses import dataclass, replace
from math import log2

import numpy as np

from sim.network.algorithms.protocols import bulk, flagged
from sim.network.group import Level
from sim.network.link_time import LinkTime
from sim.operators.quantities import Array

FLAGGED_PIECES = 16 * 1024
_STEPS = 2


@dataclass(frozen=True, slots=True)
class DirectAllToAll:
    """All pairs at once."""

    name: str = "direct"

    def time(self, level: Level, message: Array) -> LinkTime:
        """`message`: B that each chip sends and receives in all, its own piece included."""
        n = level.units
        steps = _STEPS * log2(n)
        sent, kept = message * (n - 1) / n * level.detour, message / n
        late = replace(level, tier=replace(level.tier, bulk_launches=level.tier.direct_launches))
        small = flagged(level, self.name, steps, message, sent, kept)
        large = bulk(late, self.name, steps, sent, kept)
        return _by_size(message / n <= FLAGGED_PIECES, small, large)


def _by_size(
    small: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], few: LinkTime, many: LinkTime
) -> LinkTime:
    tier = next(iter(few.levels))
    return LinkTime(
        np.where(small, few.launch, many.launch),
        np.where(small, few.latency, many.latency),
        np.where(small, few.transfer, many.transfer),
        few.algorithm,
        {tier: np.where(small, few.levels[tier], many.levels[tier])},
        few.carried,
    )

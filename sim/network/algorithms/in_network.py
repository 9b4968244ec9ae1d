"""All-reduce inside the switches (NVLS, SHARP).

Each chip has the switch read its share of all chips' data, reduced, and write the sum to all:
    S(n−1)/n + S/n leave a chip for the others' shares and its own sum, S/n + S(n−1)/n arrive, so that
    t = S(1 + 1/n)/R
with R the `reduction` of the tier: link bytes per chip that the switch reduces.

with 2·log2 n steps of latency, the barriers before and after.

Source: NVIDIA's description of multimem.ld_reduce and multimem.st (PTX ISA 8.1). R and the law in n are
those of NCCL on four and eight H100 (512 MiB in 2306 and 2111 µs).
"""

from dataclasses import dataclass
from math import log2

import numpy as np

from sim.network.algorithms.protocols import bulk
from sim.network.group import Level
from sim.network.link_time import LinkTime
from sim.operators.quantities import Array


@dataclass(frozen=True, slots=True)
class InNetwork:
    """The library's collective: started like any other in bulk."""

    name: str = "in-network"

    def time(self, level: Level, message: Array) -> LinkTime | None:
        """Nothing where no switch reduces."""
        if level.tier.reduction <= 0:
            return None
        n = level.units
        rate = reduced_bandwidth(level) / level.tier.efficiency
        nothing_kept = np.zeros_like(message)
        return bulk(level, self.name, 2 * log2(n), message * (1 + 1 / n), nothing_kept, rate)


def reduced_bandwidth(level: Level) -> float:
    """Link bytes per second and chip through a reducing switch, what others take subtracted."""
    tier = level.tier
    return min(tier.reduction, tier.efficiency * tier.bandwidth) * level.bandwidth / tier.bandwidth

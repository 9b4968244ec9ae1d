"""Two ways in which a library's collective moves bytes, of which the faster counts.

S message, `steps` of latency a1 each, a0 launch, W bytes sent and O kept (the chip's own share), per chip;
L bandwidth, η efficiency:
  flagged   (a0 + steps·a1)·(1 + w·S/(S + s1)) + (W + O)/(φ·ηL)
  bulk      e·a0 + l + t + k·√(l·t),      l = steps·a1,  t = W/(ηL) + O/c

A flagged word carries its own arrival flag, so nothing waits, but only part of the link carries data, and the
chip's own share is unpacked like everybody's. s1 is what one channel moves; opening all of them costs the
share w more. In bulk a step waits for a whole chunk; √(l·t) is what the best size of chunk leaves of filling
the pipeline. φ is the tier's `flagged_share`, w `widening`, e `bulk_launches`, k `ramp`, c `copy`.

Sources: NCCL's protocols LL and Simple as described in arXiv 2507.04786; figures fitted to the tables of NCCL
2.23-2.29 on A100 and H100 of NVIDIA aiconfigurator (docs/network.md).
"""

import numpy as np

from sim.network.group import Level
from sim.network.link_time import LinkTime, fastest, on_level
from sim.operators.quantities import Array

ONE_CHANNEL = 11e3
"""B of message at which half of the channels' cost has come up; fitted as above (6-20 kB fit as well)."""


def collective(level: Level, name: str, steps: float, message: Array, sent: Array, kept: Array) -> LinkTime:
    """The faster protocol, case by case.

    Args:
        steps: latencies on the way; message: B of the whole message; sent, kept: B per chip.
    """
    return fastest(
        [flagged(level, name, steps, message, sent, kept), bulk(level, name, steps, sent, kept)],
    )


def flagged(level: Level, name: str, steps: float, message: Array, sent: Array, kept: Array) -> LinkTime:
    """Words that carry their own flag."""
    tier = level.tier
    wider = 1 + tier.widening * message / (message + ONE_CHANNEL)
    rate = tier.flagged_share * tier.efficiency * level.bandwidth
    return on_level(level, name, tier.launch * wider, steps * tier.hop * wider, (sent + kept) / rate, sent)


def bulk(
    level: Level, name: str, steps: float, sent: Array, kept: Array, bandwidth: float | None = None
) -> LinkTime:
    """Chunks that are waited for; `bandwidth` (B/s) where it is not the level's."""
    tier = level.tier
    rate = tier.efficiency * (level.bandwidth if bandwidth is None else bandwidth)
    transfer = sent / rate + kept / level.copy
    latency = steps * tier.hop
    filled = latency + tier.ramp * np.sqrt(latency * transfer)
    return on_level(level, name, tier.bulk_launches * tier.launch, filled, transfer, sent)

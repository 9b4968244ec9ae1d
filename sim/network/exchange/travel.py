"""The bytes of an exchange on their way over several tiers at once.

    t = ‖t_copy, t_1, t_2, …‖_p       p = 4: the slowest counts, a second one as slow adds a fifth

Copying by the cores and the tiers' links work at the same time, and the tier with the longest latency is
waited for. A tier behind another's ports loads those too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sim.network.group import Level
from sim.network.link_time import LinkTime
from sim.operators.quantities import Array

_SHARPNESS = 4.0


@dataclass(frozen=True, slots=True)
class Crossing:
    """Bytes per chip that cross one level, B/s of its links for them, latency there."""

    level: Level
    sent: Array
    rate: float
    latency: float


def travel(name: str, launch: Array | float, copying: Array, crossings: Sequence[Crossing]) -> LinkTime:
    """The exchange as one phase; copying counts as the innermost tier's.

    Args:
        launch: s; copying: s that the cores take.
    """
    ported = _on_ports(crossings)
    alone = [copying, *(2 * b / c.rate if c.level.tier.through_host else b / c.rate for c, b in ported)]
    powers = np.array([(time + 1e-30) ** _SHARPNESS for time in alone])
    transfer = powers.sum(axis=0) ** (1 / _SHARPNESS)
    shares = powers / powers.sum(axis=0)
    by_tier: dict[str, Array] = {crossings[0].level.tier.name: transfer * shares[0]}
    slowest = max(crossings, key=lambda crossing: crossing.latency)
    for (crossing, _), share in zip(ported, shares[1:], strict=True):
        tier = crossing.level.tier.name
        waited = crossing.latency if crossing is slowest else 0.0
        by_tier[tier] = by_tier.get(tier, np.zeros_like(transfer)) + transfer * share + waited
    carried: Mapping[str, Array] = {c.level.tier.name: c.sent for c in crossings}
    zero = np.zeros_like(transfer)
    return LinkTime(zero + launch, zero + slowest.latency, transfer, (name,), by_tier, carried)


def _on_ports(crossings: Sequence[Crossing]) -> list[tuple[Crossing, Array]]:
    """Each crossing with the bytes on its links, those of the tiers behind it included."""
    return [
        (c, sum((d.sent for d in crossings if d.level.tier.behind == c.level.tier.name), c.sent))
        for c in crossings
    ]

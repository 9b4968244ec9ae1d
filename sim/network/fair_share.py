"""Max-min fair rates of flows that share links.

All rates rise together; a flow stops rising when it reaches its own limit or when one of its links is full.

    level(link) = (capacity − Σ_stopped use·rate) / Σ_rising use

A flow at rate r takes use·r of each link it uses: 1 along a path, less where its bytes are spread over
several links, more where a link carries them more than once.

Source: progressive filling after Bertsekas and Gallager, Data Networks (1992), section 6.5.2.
"""

from collections.abc import Mapping, Sequence
from math import inf

Uses = Mapping[int, float]
"""Of each link a flow crosses (its place among the capacities): bytes on the link per byte of the flow."""

_TIE = 1 + 1e-12


def max_min(capacity: Sequence[float], uses: Sequence[Uses], limits: Sequence[float]) -> list[float]:
    """Rates (B/s) of the flows, in their order.

    Args:
        capacity: B/s of each link.
        uses: of each flow the links it crosses; a flow without any runs at its limit.
        limits: B/s of each flow, infinite where only links bound it.
    """
    rates = [0.0] * len(uses)
    left = list(capacity)
    rising = dict.fromkeys(range(len(uses)))
    weight: dict[int, float] = {}
    for used in uses:
        for link, use in used.items():
            weight[link] = weight.get(link, 0.0) + use
    count = {link: sum(link in used for used in uses) for link in weight}
    while rising:
        level = min(limits[flow] for flow in rising)
        full = {link: left[link] / weight[link] for link, flows in count.items() if flows}
        level = max(min(level, min(full.values(), default=inf)), 0.0)
        stopped = [
            flow
            for flow in rising
            if limits[flow] <= level * _TIE or any(full[link] <= level * _TIE for link in uses[flow])
        ]
        for flow in stopped:
            del rising[flow]
            rates[flow] = level
            for link, use in uses[flow].items():
                weight[link] -= use
                count[link] -= 1
                left[link] = max(left[link] - use * level, 0.0)
    return rates

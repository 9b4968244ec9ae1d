"""Low-latency exchange: every chip writes each of its messages straight to the expert's chip.

    V = tokens·copies·bytes;  V(u−1)/R … of it stays within a domain, the rest leaves it (R ranks)
    T = r·b0·log2 R + x·b0·experts + 3·α_network + ‖V_i/(rate of tier i), V/(min(experts, cores)·ρ)‖_p

r is the innermost tier's `exchange_rank_step` and x its `exchange_expert_step`, b0 its `low_latency`: a chip
signals every expert and waits for every rank. Arrivals are unpacked by one core per expert at ρ
(`exchange_unpack_rate`) each, which binds where a chip holds few experts. Over the network a token, its count
and the acknowledgement follow one another, hence 3 α. Results on their way back are read and added up, so the
links of a domain give `exchange_sum_share` of what they give to dispatch.

Fitted to DeepEP on 1-8 nodes of eight H100 (NVIDIA aiconfigurator); docs/network.md has the agreement.
"""

from collections.abc import Sequence
from math import log2

import numpy as np

from sim.network.exchange.routed import Routed
from sim.network.exchange.travel import Crossing, travel
from sim.network.group import Level
from sim.network.link_time import LinkTime

_NETWORK_MESSAGES = 3


def low_latency(spanned: Sequence[Level], ranks: int, routed: Routed, cores: int) -> LinkTime:
    """`cores`: of a chip, all of which may unpack."""
    near = spanned[0].tier
    volume = routed.tokens * routed.copies * routed.token_bytes
    crossings: list[Crossing] = []
    inside = 1
    for level in spanned:
        chips = min(level.unit * level.units, ranks)
        sent = volume * (chips - inside) / ranks * level.detour
        rate = near.exchange_share * level.tier.efficiency * level.bandwidth
        if level.unit > 1:
            rate = level.tier.efficiency * level.bandwidth
        elif routed.combine:
            rate *= near.exchange_sum_share
        latency = _NETWORK_MESSAGES * level.tier.latency if level.unit > 1 else 0.0
        crossings.append(Crossing(level, sent, rate, latency))
        inside = chips
    steps = near.exchange_rank_step * log2(ranks) + near.exchange_expert_step * routed.experts
    unpacking = volume / (min(routed.experts, cores) * near.exchange_unpack_rate)
    copying = np.zeros_like(volume) if routed.combine else unpacking
    return travel("low-latency", steps * near.low_latency, copying, crossings)

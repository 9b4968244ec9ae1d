"""De-duplicating exchange ("normal" kernels): once to each chip, over a network once per server.

    copies made per token = distinct + nodes·[several servers] + w
    T = e·a0 + e_n·a0_n·log2(servers) + first + ‖tokens·copies·(bytes/r + o)/cores, V_i/(rate of tier i)‖_p

What it costs is copying: each core given to it moves r (`exchange_core_rate`) and takes o
(`exchange_message`) per message. w counts the passes over a token whatever its copies: `exchange_send_passes`
to send it, `exchange_sum_passes` to read, add up and write a result. Over the network a result passes one
more buffer each way, `exchange_buffering` times the work. first: a warp handles one token, and a result waits
for its copies at r/`exchange_first`. All of these are the innermost tier's; e, e_n are `exchange_launches` of
that and of the network's. Where a tier has a `static_share` these kernels get only that much of it: few long
connections between fixed partners collide in a network's core, many short ones to everybody do not.

Fitted to DeepEP on 1-8 nodes of eight H100 with 4-24 of 132 cores (NVIDIA aiconfigurator). docs/network.md
has the agreement.
"""

from collections.abc import Sequence
from math import log2

import numpy as np

from sim.hardware.cluster import Tier
from sim.network.exchange.routed import Routed
from sim.network.exchange.travel import Crossing, travel
from sim.network.group import Level
from sim.network.link_time import LinkTime

CORES = 20
"""Cores an exchange gets where nobody says otherwise: DeepEP's default."""


def forwarding(spanned: Sequence[Level], ranks: int, routed: Routed, cores: int) -> LinkTime:
    """`cores`: those that the exchange may use."""
    near, size = spanned[0], routed.token_bytes
    domain = min(near.unit * near.units, ranks)
    servers = ranks / domain
    across = len(spanned) > 1
    work, first = _copying(near.tier, routed, across)
    launch = near.tier.exchange_launches * near.tier.launch + first
    for level in spanned[1:]:
        launch += level.tier.exchange_launches * level.tier.launch * log2(level.units)
    inside = Crossing(
        near,
        routed.tokens * size * routed.distinct * (domain - 1) / domain * near.detour,
        near.tier.two_shot_share * near.tier.efficiency * near.bandwidth,
        near.tier.latency,
    )
    outside: list[Crossing] = []
    for level in spanned[1:]:
        units = level.unit / domain  # servers in one unit
        sent = routed.tokens * size * routed.nodes * units * (level.units - 1) / servers
        rate = level.tier.static_share * level.tier.efficiency * level.bandwidth
        outside.append(Crossing(level, sent * level.detour, rate, level.tier.latency))
    return travel("normal", launch, np.asarray(routed.tokens * work / cores), [inside, *outside])


def _copying(tier: Tier, routed: Routed, across: bool) -> tuple[float, float]:
    """(s of one core for a token, s until the first result is there)."""
    copies = routed.distinct + (routed.nodes if across else 0.0)
    copy = routed.token_bytes / tier.exchange_core_rate
    if not routed.combine:
        return (copies + tier.exchange_send_passes) * (copy + tier.exchange_message), 0.0
    work = (copies + tier.exchange_sum_passes) * copy
    first = (routed.distinct + tier.exchange_sum_passes) * copy * tier.exchange_first
    return work * (tier.exchange_buffering if across else 1.0), first

"""De-duplicating exchange ("normal" kernels): once to each chip, over a network once per server.

    copies made per token = distinct + nodes·[several servers] + w
    T = e·a0 + e_n·a0_n·log2(servers) + first + ‖tokens·copies·(bytes/r + o)/cores, V_i/(rate of tier i)‖_p

What it costs is copying: each core given to it moves r (`exchange_core_rate`) and takes o per message. w
counts the passes over a token whatever its copies: 1.3 to send it, 3.1 to read, add up and write a result.
Over the network a result passes one more buffer each way, 1.74 times the work. first: a warp handles one
token, and a result waits for its copies at r/5.4. e, e_n are `exchange_launches` of the innermost tier and of
the network's. Where a tier has a `static_share` these kernels get only that much of its bandwidth: few long
connections between fixed partners collide in a network's core, many short ones to everybody do not.

Fitted to DeepEP on 1-8 nodes of eight H100 with 4-24 of 132 cores (NVIDIA aiconfigurator). docs/network.md
has the agreement.
"""

from collections.abc import Sequence
from math import log2

import numpy as np

from sim.network.exchange.routed import Routed
from sim.network.exchange.travel import Crossing, travel
from sim.network.group import Level
from sim.network.link_time import LinkTime

CORES = 20
"""Cores an exchange gets where nobody says otherwise: DeepEP's default."""

_PASSES = {False: 1.29, True: 3.13}
_MESSAGE = 0.098e-6
_BUFFERED = 1.74
_FIRST = 5.36


def forwarding(spanned: Sequence[Level], ranks: int, routed: Routed, cores: int) -> LinkTime:
    """`cores`: those that the exchange may use."""
    near, size = spanned[0], routed.token_bytes
    domain = min(near.unit * near.units, ranks)
    servers = ranks / domain
    across = len(spanned) > 1
    core_rate = near.tier.exchange_core_rate
    copies = routed.distinct + (routed.nodes if across else 0.0) + _PASSES[routed.combine]
    per_copy = size / core_rate + (0.0 if routed.combine else _MESSAGE)
    work = copies * per_copy * (_BUFFERED if routed.combine and across else 1.0)
    first = (routed.distinct + _PASSES[True]) * size * _FIRST / core_rate if routed.combine else 0.0
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

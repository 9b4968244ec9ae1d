"""Expert dispatch and combine: an all-to-all whose messages follow the routing.

A chip sends each of its T tokens to the chips that hold its experts.
  low latency   V = T · copies · bytes, one message per (token, expert); b0 the tier's low-latency launch;
                e_b·b0 + e_r·b0·log2(R) + ‖V_in/(η_x·ηL), V_out/(ηL)‖₂
  normal        V = T · distinct destinations · bytes, tokens copied once per chip (once per server over the
                network, forwarded inside it); e_a·a0 + α + ‖V_in/(η_x·ηL), V_out/(ηL)‖₂
  exchange of whole messages   all-gather of the tokens (or reduce-scatter of the results)
The fastest counts. V_in stays in the innermost domain of g of the R chips, a share (g−1)/R; V_out leaves it,
a share 1 − g/R.

The innermost tier's `exchange_launches` is e_a, `exchange_low_launches` e_b, `exchange_rank_step` e_r,
`exchange_share` η_x. Form after the measured DeepEP kernels (docs/operators.md).
"""

from collections.abc import Sequence
from math import log2

import numpy as np

from sim.hardware.cluster import Cluster
from sim.network.collectives import LinkTime, all_gather, fastest
from sim.network.group import Level, levels
from sim.operators.quantities import Array


def expert_exchange(
    cluster: Cluster,
    ranks: int,
    tokens: Array,
    copies: float,
    distinct: float,
    nodes: float,
    token_bytes: float,
    link_taken: float = 0.0,
) -> LinkTime:
    """Time in which every chip has sent its `tokens`.

    Args:
        copies: messages per token without de-duplication; distinct: destinations counted once per chip;
            nodes: once per innermost domain. token_bytes: bytes of one message.
    """
    spanned = levels(cluster, ranks, link_taken)
    if not spanned:
        zero = np.zeros_like(tokens)
        return LinkTime(zero, zero, zero, zero, ("none",))
    candidates = [
        _normal(spanned, ranks, tokens, distinct, nodes, token_bytes),
        all_gather(cluster, ranks, tokens * ranks * token_bytes, link_taken),
    ]
    if spanned[0].tier.low_latency > 0:
        candidates.append(_low_latency(spanned, ranks, tokens, copies, token_bytes))
    return fastest(candidates)


def _low_latency(
    spanned: tuple[Level, ...], ranks: int, tokens: Array, copies: float, token_bytes: float
) -> LinkTime:
    volume = tokens * copies * token_bytes
    near = spanned[0].units
    inside, outside = volume * (near - 1) / ranks, volume * (ranks - near) / ranks
    tier = spanned[0].tier
    b0 = tier.low_latency
    launch = tier.exchange_low_launches * b0 + sum(level.tier.latency for level in spanned[1:])
    latency = tier.exchange_rank_step * b0 * log2(ranks)
    return _exchange("low-latency", spanned, launch, [latency], inside, outside)


def _normal(
    spanned: tuple[Level, ...], ranks: int, tokens: Array, distinct: float, nodes: float, token_bytes: float
) -> LinkTime:
    near = spanned[0].units
    domains = ranks / near
    inside = tokens * token_bytes * distinct * (near - 1) / near
    outside = tokens * token_bytes * nodes * (domains - 1) / domains
    launch = spanned[0].tier.exchange_launches * spanned[0].tier.launch
    latency = [level.tier.latency for level in spanned]
    return _exchange("normal", spanned, launch, latency, inside, outside)


def _exchange(
    name: str,
    spanned: tuple[Level, ...],
    launch: float,
    latency: Sequence[float],
    inside: Array,
    outside: Array,
) -> LinkTime:
    """The volumes over the innermost and the outermost level at once; `latency` is that of the levels, from
    the innermost on. Of a time ‖in, out‖₂ each level takes a part as its square."""
    near, far = spanned[0], spanned[-1]
    crossings = 2 if near.tier.through_host else 1
    within = crossings * inside / (near.tier.exchange_share * near.tier.efficiency * near.bandwidth)
    beyond = np.zeros_like(within)
    if len(spanned) > 1:
        beyond = outside / (far.tier.efficiency * far.bandwidth)
    transfer = np.hypot(within, beyond)
    waits = zip(spanned, latency, strict=False)
    by_tier = {level.tier.name: np.full_like(inside, wait) for level, wait in waits}
    for level, alone in ((near, within), (far, beyond)):
        share = (alone / np.maximum(transfer, 1e-30)) ** 2
        by_tier[level.tier.name] = by_tier.get(level.tier.name, 0.0) + transfer * share
    launches, waited = np.full_like(inside, launch), np.full_like(inside, sum(latency))
    return LinkTime(launches, waited, transfer, inside + outside, (name,), by_tier)

"""The speed of light of a communication: fewest bytes any algorithm may send, over all links that carry them.

At each level of the fabric a unit of chips must send out (per chip of the unit, n units on the level)
  all-reduce                  2S(n−1)/n / chips, or S / chips where a switch reduces
  all-gather, reduce-scatter  S(n−1)/n / chips
  expert exchange             each token once per distinct destination outside
and may use the links of this level and of all outer ones. The bound is the largest over the levels.
"""

import numpy as np

from sim.hardware.cluster import Cluster
from sim.network.group import Level, between, levels
from sim.operators.quantities import Array


def all_reduce_bound(cluster: Cluster, ranks: int, message: Array, link_taken: float = 0.0) -> Array:
    """Least seconds of an all-reduce."""
    spanned = levels(cluster, ranks, link_taken)
    reduces = any(level.tier.reduction > 0 for level in spanned)

    def leaving(units: int) -> float:
        share = 2 * (units - 1) / units
        return min(share, 1.0) if reduces else share

    return _widest(spanned, message, leaving_share=[leaving(_units(level, ranks)) for level in spanned])


def gather_bound(cluster: Cluster, ranks: int, message: Array, link_taken: float = 0.0) -> Array:
    """Least seconds of an all-gather or a reduce-scatter."""
    spanned = levels(cluster, ranks, link_taken)
    shares = [(_units(level, ranks) - 1) / _units(level, ranks) for level in spanned]
    return _widest(spanned, message, shares)


def exchange_bound(
    cluster: Cluster,
    ranks: int,
    tokens: Array,
    distinct: float,
    token_bytes: float,
    link_taken: float = 0.0,
) -> Array:
    """Least seconds of an expert exchange: each token leaves for its distinct destinations but its own chip,
    at most once for every other chip."""
    spanned = levels(cluster, ranks, link_taken)
    if not spanned:
        return np.zeros_like(tokens)
    sent = tokens * token_bytes * min(distinct, ranks - 1) * (ranks - 1) / ranks
    return sent / sum(level.bandwidth for level in spanned)


def hop_bound(cluster: Cluster, source: int, target: int, message: Array, link_taken: float = 0.0) -> Array:
    """Least seconds of one message between two chips."""
    return message / between(cluster, source, target, link_taken).bandwidth


def _units(level: Level, ranks: int) -> int:
    return -(-ranks // level.unit)


def _widest(spanned: tuple[Level, ...], message: Array, leaving_share: list[float]) -> Array:
    bound = np.zeros_like(message)
    for i, level in enumerate(spanned):
        links = sum(outer.bandwidth for outer in spanned[i:])
        bound = np.maximum(bound, message * leaving_share[i] / level.unit / links)
    return bound

"""Collectives and flows over a cluster's tiers: algorithms, their times, and what bounds them."""

from sim.network.bounds import all_reduce_bound, exchange_bound, gather_bound, hop_bound
from sim.network.collectives import LinkTime, all_gather, all_reduce, point_to_point, reduce_scatter
from sim.network.exchange import expert_exchange

__all__ = [
    "LinkTime",
    "all_gather",
    "all_reduce",
    "all_reduce_bound",
    "exchange_bound",
    "expert_exchange",
    "gather_bound",
    "hop_bound",
    "point_to_point",
    "reduce_scatter",
]

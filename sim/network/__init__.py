"""Collectives and flows over a cluster's tiers: algorithms, their times, and what bounds them."""

from sim.network.bounds import all_reduce_bound, exchange_bound, gather_bound, hop_bound
from sim.network.collectives import (
    all_gather,
    all_reduce,
    all_to_all,
    broadcast,
    point_to_point,
    reduce_scatter,
)
from sim.network.exchange import Routed, expert_exchange
from sim.network.fair_share import max_min
from sim.network.flows import Flow, FlowNetwork, finish_times
from sim.network.group import every
from sim.network.link_time import LinkTime

__all__ = [
    "Flow",
    "FlowNetwork",
    "LinkTime",
    "Routed",
    "all_gather",
    "all_reduce",
    "all_reduce_bound",
    "all_to_all",
    "broadcast",
    "every",
    "exchange_bound",
    "expert_exchange",
    "finish_times",
    "gather_bound",
    "hop_bound",
    "max_min",
    "point_to_point",
    "reduce_scatter",
]

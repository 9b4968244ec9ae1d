"""Analytic time of communication operators, by `sim.network`."""

import numpy as np

from sim.hardware.cluster import Cluster
from sim.network import (
    LinkTime,
    Routed,
    all_gather,
    all_reduce,
    every,
    expert_exchange,
    point_to_point,
    reduce_scatter,
)
from sim.operators import Collective, ExpertExchange, Hop
from sim.timing.priced import Priced

_COLLECTIVES = {"all_reduce": all_reduce, "all_gather": all_gather, "reduce_scatter": reduce_scatter}


def link_time(operator: Collective | ExpertExchange | Hop, cluster: Cluster, link_taken: float) -> LinkTime:
    """The fastest algorithm's time over all cases."""
    if isinstance(operator, Collective):
        reached = every(cluster, operator.stride)
        return _COLLECTIVES[operator.kind](reached, operator.ranks, operator.message, link_taken)
    if isinstance(operator, Hop):
        return point_to_point(cluster, operator.source, operator.target, operator.message, link_taken)
    routed = Routed(
        operator.tokens,
        operator.copies,
        operator.distinct,
        operator.nodes,
        operator.token_bytes,
        operator.experts,
        operator.combine,
    )
    return expert_exchange(cluster, operator.ranks, routed, link_taken)


def price_link(operator: Collective | ExpertExchange | Hop, cluster: Cluster, link_taken: float) -> Priced:
    """Launch as launch; latency and transfer as link time."""
    time = link_time(operator, cluster, link_taken)
    zero = np.zeros_like(time.transfer)
    return Priced(time.launch, zero, zero, time.latency + time.transfer)

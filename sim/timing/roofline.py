"""The speed of light of an operator: max( FLOPs/peak, compulsory bytes/HBM peak, fewest wire bytes/links ).

No launch, no padding, no efficiency below one. `Limits` keeps the three apart: their largest is the
operator's bound, their sums over a step give its *light*.
"""

from dataclasses import dataclass

import numpy as np

from sim.hardware.cluster import Cluster
from sim.network import all_reduce_bound, every, exchange_bound, gather_bound, hop_bound
from sim.operators import (
    Collective,
    Elementwise,
    ExpertExchange,
    Experts,
    Hop,
    Operator,
    PrefillAttention,
    StateUpdate,
)
from sim.operators.quantities import Array
from sim.timing.rates import Rates


@dataclass(frozen=True, slots=True)
class Limits:
    """Least seconds each resource needs for one execution, arrays over cases; `bound` the whole's least.

    `imbalance` is the part of `bound` in which the mean rank waits for the slowest.
    """

    compute: Array
    hbm: Array
    link: Array
    bound: Array
    imbalance: Array


def limits(operator: Operator, rates: Rates, cluster: Cluster) -> Limits:
    """The operator's least time by resource."""
    if isinstance(operator, Collective | ExpertExchange | Hop):
        link = _wire(operator, cluster, rates.link_taken)
        zero = np.zeros_like(link)
        return Limits(zero, zero, link, link, zero)
    if isinstance(operator, Experts):
        return _experts(operator, rates)
    hbm = np.atleast_1d(np.asarray(operator.hbm_bytes, np.float64)) / rates.hbm
    flops = np.atleast_1d(np.asarray(operator.flops, np.float64))
    if isinstance(operator, Elementwise) or (isinstance(operator, StateUpdate) and not operator.chunked):
        compute = flops / rates.vector
    else:
        compute = flops / rates.peak(operator.arithmetic)
    zero = np.zeros_like(hbm)
    return Limits(compute, hbm, zero, np.maximum(compute, hbm), zero)


def prefill_bound(attention: PrefillAttention, rates: Rates) -> float:
    """The bound of one prefill attention as a plain float."""
    return max(attention.flops / rates.peak(attention.arithmetic), attention.hbm_bytes / rates.hbm)


def _experts(experts: Experts, rates: Rates) -> Limits:
    """The slowest rank of each draw, the mean over draws."""
    compute = experts.rank_flops / rates.peak(experts.arithmetic)
    hbm = experts.rank_bytes / rates.hbm
    by_rank = np.maximum(compute, hbm)
    bound, mean = by_rank.max(axis=2).mean(axis=1), by_rank.mean(axis=(1, 2))
    by_resource = [part.max(axis=2).mean(axis=1) for part in (compute, hbm)]
    waiting = np.maximum(bound - mean, 0.0)
    return Limits(by_resource[0], by_resource[1], np.zeros_like(bound), bound, waiting)


def _wire(operator: Collective | ExpertExchange | Hop, cluster: Cluster, link_taken: float) -> Array:
    if isinstance(operator, Hop):
        return hop_bound(cluster, operator.source, operator.target, operator.message, link_taken)
    if isinstance(operator, ExpertExchange):
        return exchange_bound(
            cluster, operator.ranks, operator.tokens, operator.distinct, operator.token_bytes, link_taken
        )
    bound = all_reduce_bound if operator.kind == "all_reduce" else gather_bound
    return bound(every(cluster, operator.stride), operator.ranks, operator.message, link_taken)

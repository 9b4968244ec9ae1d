"""Expert dispatch and combine: an all-to-all whose messages follow the routing.

The fastest counts of
  low latency    one message per token and expert (`low_latency`)
  normal         one copy per chip, over the network one per server, forwarded inside it (`forwarding`)
  whole messages an all-gather of all tokens, or a reduce-scatter of all results
"""

from sim.hardware.cluster import Cluster
from sim.network.collectives import all_gather
from sim.network.exchange.forwarding import CORES, forwarding
from sim.network.exchange.low_latency import low_latency
from sim.network.exchange.routed import Routed
from sim.network.group import levels
from sim.network.link_time import LinkTime, fastest, nothing


def expert_exchange(
    cluster: Cluster, ranks: int, routed: Routed, link_taken: float = 0.0, cores: int = CORES
) -> LinkTime:
    """Time in which every chip has sent its tokens.

    Args:
        cores: those of a chip that a copying exchange may use.
    Raises:
        ValueError: for a group larger than the cluster.
    """
    spanned = levels(cluster, ranks, link_taken)
    if not spanned:
        return nothing(routed.tokens)
    candidates = [
        forwarding(spanned, ranks, routed, cores),
        all_gather(cluster, ranks, routed.tokens * ranks * routed.token_bytes, link_taken),
    ]
    if spanned[0].tier.low_latency > 0:
        candidates.append(low_latency(spanned, ranks, routed, cluster.chip.compute.cores))
    return fastest(candidates)


__all__ = ["CORES", "Routed", "expert_exchange", "forwarding", "low_latency"]

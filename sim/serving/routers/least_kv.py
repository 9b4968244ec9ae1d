"""Least KV: the replica whose requests hold the least of its cache."""

from sim.serving.routers.router import Replicas


class LeastKv:
    """The fewest KV blocks held; among equals the fewest requests."""

    looks = True

    def __init__(self, replicas: Replicas) -> None:
        self.replicas = replicas

    def choose(self, request: int) -> int:
        """The replica with the fewest blocks held."""
        look = self.replicas
        everywhere = range(len(look.engines))
        return min(everywhere, key=lambda replica: (look.kv_blocks(replica), look.outstanding(replica)))

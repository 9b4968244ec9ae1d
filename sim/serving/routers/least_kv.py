"""Least KV: the replica whose requests hold the least of its cache."""

from sim.serving.routers.router import Replicas


class LeastKv:
    """The fewest KV blocks held; among equals the fewest requests. Blocks change with every step, so each
    decision brings all replicas to its time: it costs time in proportion to their number."""

    looks = True
    exact = True

    def __init__(self, replicas: Replicas) -> None:
        self.replicas = replicas

    def choose(self, request: int) -> int:
        """The replica with the fewest blocks held."""
        look = self.replicas
        held, load = look.kv_blocks(), look.outstanding()
        return min(look.open(), key=lambda replica: (held[replica], load[replica]))

    def forget(self, replica: int) -> None:
        """Nothing is remembered of its caches."""

"""Least outstanding: the replica with the fewest requests in it."""

from sim.serving.routers.router import Replicas, least


class LeastOutstanding:
    """The fewest requests waiting or running."""

    looks = True

    def __init__(self, replicas: Replicas) -> None:
        self.replicas = replicas

    def choose(self, request: int) -> int:
        """The replica with the fewest requests in it."""
        return least(range(len(self.replicas.engines)), self.replicas.outstanding)

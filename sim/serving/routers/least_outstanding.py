"""Least outstanding: the replica with the fewest requests in it."""

from sim.serving.routers.router import Replicas, least


class LeastOutstanding:
    """The fewest requests waiting or running."""

    looks = True
    exact = False

    def __init__(self, replicas: Replicas) -> None:
        self.replicas = replicas

    def choose(self, request: int) -> int:
        """The replica with the fewest requests in it."""
        look = self.replicas
        return least(look.open(), look.outstanding().__getitem__)

    def forget(self, replica: int) -> None:
        """Nothing is remembered of its caches."""

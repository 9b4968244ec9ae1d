"""Round robin: one after the other, whatever their load."""

from sim.serving.routers.router import Replicas


class RoundRobin:
    """Request i goes to replica i mod count."""

    looks = False

    def __init__(self, replicas: Replicas) -> None:
        self.count = len(replicas.engines)
        self.next = -1

    def choose(self, request: int) -> int:
        """The next replica."""
        self.next = (self.next + 1) % self.count
        return self.next

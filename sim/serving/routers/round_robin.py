"""Round robin: in turn, whatever the load."""

from bisect import bisect_right

from sim.serving.routers.router import Replicas


class RoundRobin:
    """The open replica that comes next after the last one chosen: request i goes to replica i mod count
    where all are open."""

    looks = False
    exact = False

    def __init__(self, replicas: Replicas) -> None:
        self.replicas = replicas
        self.last = -1

    def choose(self, request: int) -> int:
        """The next replica."""
        among = self.replicas.open()
        place = bisect_right(among, self.last)
        self.last = among[place if place < len(among) else 0]
        return self.last

    def forget(self, replica: int) -> None:
        """Nothing is remembered of its caches."""

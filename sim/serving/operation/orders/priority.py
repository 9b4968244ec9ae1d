"""The most urgent first; of equals the first come. Requests are numbered in the order of arrival."""

from heapq import heappop, heappush

from sim.serving.operation.orders.order import Clients


class Priority(list[tuple[int, int]]):
    """A heap of (priority, request)."""

    def __init__(self, clients: Clients) -> None:
        super().__init__()
        self.priority = clients.priority

    def add(self, request: int) -> None:
        """At its place."""
        heappush(self, (self.priority[request], request))

    put_back = add

    def take(self) -> int:
        """The most urgent."""
        return heappop(self)[1]

    def finished(self, request: int) -> None:
        """Nothing is counted."""

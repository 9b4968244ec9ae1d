"""The waiting queue: first come first served, or a heap by (priority, arrival, request)."""

from collections import deque
from collections.abc import Iterator
from heapq import heapify, heappop, heappush

from sim.serving.book import RequestBook


class FcfsQueue(deque[int]):
    """Arrival order; a preempted request goes to the front."""

    def head(self) -> int:
        """The request that is admitted next."""
        return self[0]

    def requests(self) -> Iterator[int]:
        """Everybody who waits, the head first."""
        return iter(self)

    def take(self) -> int:
        """Take the head."""
        return self.popleft()

    def add(self, request: int) -> None:
        """A new arrival."""
        self.append(request)

    def put_back(self, request: int) -> None:
        """A preempted request."""
        self.appendleft(request)

    def drop(self, request: int) -> None:
        """A request that finished while it waited."""
        self.remove(request)


class PriorityQueue(list[tuple[int, float, int]]):
    """Smallest (priority, arrival, request) first."""

    def __init__(self, book: RequestBook) -> None:
        super().__init__()
        self.book = book

    def head(self) -> int:
        """The request that is admitted next."""
        return self[0][2]

    def requests(self) -> Iterator[int]:
        """Everybody who waits, the head first."""
        return (entry[2] for entry in sorted(self))

    def take(self) -> int:
        """Take the head."""
        return heappop(self)[2]

    def add(self, request: int) -> None:
        """A new arrival."""
        heappush(self, (self.book.priority[request], self.book.arrival[request], request))

    put_back = add

    def drop(self, request: int) -> None:
        """A request that finished while it waited."""
        self[:] = [entry for entry in self if entry[2] != request]
        heapify(self)


WaitingQueue = FcfsQueue | PriorityQueue

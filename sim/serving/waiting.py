"""The waiting queue: first come first served, or a heap by (priority, arrival, request)."""

from collections import deque
from heapq import heapify, heappop, heappush
from typing import Protocol

from sim.serving.book import RequestBook


class WaitingQueue(Protocol):
    """Requests not yet admitted, preempted ones among them."""

    def __len__(self) -> int: ...

    def head(self) -> int:
        """The request that is admitted next."""
        ...

    def take(self) -> int:
        """Take the head."""
        ...

    def add(self, request: int) -> None:
        """A new arrival."""
        ...

    def put_back(self, request: int) -> None:
        """A preempted request."""
        ...

    def remove(self, request: int) -> None:
        """A request that finished while it waited."""
        ...


class FcfsQueue(deque[int]):
    """Arrival order; a preempted request goes to the front."""

    __slots__ = ()

    def head(self) -> int:
        """The oldest request."""
        return self[0]

    def take(self) -> int:
        """Take the head."""
        return self.popleft()

    add = deque.append
    put_back = deque.appendleft


class PriorityQueue(list[tuple[int, float, int]]):
    """Smallest (priority, arrival, request) first."""

    __slots__ = ("book",)

    def __init__(self, book: RequestBook) -> None:
        super().__init__()
        self.book = book

    def head(self) -> int:
        """The most urgent request."""
        return self[0][2]

    def take(self) -> int:
        """Take the head."""
        return heappop(self)[2]

    def add(self, request: int) -> None:
        """A new arrival."""
        heappush(self, (self.book.priority[request], self.book.arrival[request], request))

    put_back = add

    def remove(self, request: int) -> None:
        """A request that finished while it waited."""
        self[:] = [entry for entry in self if entry[2] != request]
        heapify(self)

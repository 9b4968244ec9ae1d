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

    def pop(self) -> int:
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


class FcfsQueue:
    """Arrival order; a preempted request goes to the front."""

    __slots__ = ("queue",)

    def __init__(self) -> None:
        self.queue: deque[int] = deque()

    def __len__(self) -> int:
        return len(self.queue)

    def head(self) -> int:
        return self.queue[0]

    def pop(self) -> int:
        return self.queue.popleft()

    def add(self, request: int) -> None:
        self.queue.append(request)

    def put_back(self, request: int) -> None:
        self.queue.appendleft(request)

    def remove(self, request: int) -> None:
        self.queue.remove(request)


class PriorityQueue:
    """Smallest (priority, arrival, request) first."""

    __slots__ = ("book", "heap")

    def __init__(self, book: RequestBook) -> None:
        self.book = book
        self.heap: list[tuple[int, float, int]] = []

    def __len__(self) -> int:
        return len(self.heap)

    def head(self) -> int:
        return self.heap[0][2]

    def pop(self) -> int:
        return heappop(self.heap)[2]

    def add(self, request: int) -> None:
        heappush(self.heap, (self.book.priority[request], self.book.arrival[request], request))

    put_back = add

    def remove(self, request: int) -> None:
        self.heap = [entry for entry in self.heap if entry[2] != request]
        heapify(self.heap)

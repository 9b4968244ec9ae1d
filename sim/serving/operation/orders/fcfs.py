"""First come, first served."""

from collections import deque

from sim.serving.operation.orders.order import Clients


class Fcfs(deque[int]):
    """The order of arrival; who waits again goes first."""

    def __init__(self, clients: Clients) -> None:
        super().__init__()

    def add(self, request: int) -> None:
        """To the end."""
        self.append(request)

    def put_back(self, request: int) -> None:
        """To the front."""
        self.appendleft(request)

    def take(self) -> int:
        """The front."""
        return self.popleft()

    def finished(self, request: int) -> None:
        """Nothing is counted."""

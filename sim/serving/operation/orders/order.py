"""What the queue at the gateway is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Clients:
    """Who sent what.

    Attributes:
        of: client of each request, as an index.
        weights: share that each client may have of what is served while all wait.
        priority: of each request, smaller is more urgent.
        prompt, output: tokens of each request.
    """

    of: Sequence[int]
    weights: Sequence[float]
    priority: Sequence[int]
    prompt: Sequence[int]
    output: Sequence[int]


class Order(Protocol):
    """Requests that wait at the gateway."""

    def __init__(self, clients: Clients) -> None: ...

    def __len__(self) -> int: ...

    def add(self, request: int) -> None:
        """A request arrives."""
        ...

    def put_back(self, request: int) -> None:
        """A request that was sent already waits again, before the others of its kind."""
        ...

    def take(self) -> int:
        """Whose turn it is; it leaves the queue for an engine."""
        ...

    def finished(self, request: int) -> None:
        """A request that was taken has its answer."""
        ...

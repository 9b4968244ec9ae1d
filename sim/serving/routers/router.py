"""What a router is, and what it may look at."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from sim.serving.engine import Engine
from sim.workload.requests import Pieces


@dataclass(frozen=True, slots=True)
class Replicas:
    """The replicas, and what each request's prompt consists of (None: no prompt shares anything)."""

    engines: Sequence[Engine]
    prompts: Sequence[Pieces] | None = None

    def outstanding(self, replica: int) -> int:
        """Requests waiting or running on a replica."""
        return self.engines[replica].outstanding

    def kv_blocks(self, replica: int) -> int:
        """KV blocks that a replica's requests hold."""
        return self.engines[replica].scheduler.load()[4]


class Router(Protocol):
    """Chooses a replica when a request arrives. `looks` says whether it needs the replicas' present state."""

    looks: bool

    def __init__(self, replicas: Replicas) -> None: ...

    def choose(self, request: int) -> int:
        """The replica for the request."""
        ...


def least(replicas: Iterable[int], measure: Callable[[int], float]) -> int:
    """The replica with the least measure, among equals the first."""
    return min(replicas, key=measure)

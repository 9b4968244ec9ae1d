"""What a router is, and what it may look at."""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from sim.serving.engine import Engine
from sim.serving.lockstep import everybody_in, ranks_of
from sim.serving.scheduler import Scheduler
from sim.workload.requests import Pieces


class Replicas(Protocol):
    """The replicas as a router sees them.

    Attributes:
        prompts: what each request's prompt consists of (None: no prompt shares anything).
        weights: share of the requests that each replica should get, in any unit; empty if all are alike.
        draw: a number in [0, 1), for routers that draw.
    """

    prompts: Sequence[Pieces] | None
    weights: Sequence[float]
    draw: Callable[[], float]

    def open(self) -> Sequence[int]:
        """The replicas that take requests, ascending; at least one."""
        ...

    def outstanding(self) -> Sequence[int]:
        """Requests waiting or running, of every replica."""
        ...

    def prompt_tokens(self) -> Sequence[int]:
        """Tokens of the prompts of these requests, of every replica."""
        ...

    def kv_blocks(self) -> Sequence[int]:
        """KV blocks that they hold, of every replica."""
        ...

    def held_tokens(self, request: int) -> Sequence[int]:
        """Tokens at the beginning of the request's prompt that the cache of every replica holds."""
        ...


class PresentReplicas:
    """Replicas that always take requests, seen as they are at this moment."""

    def __init__(
        self, engines: Sequence[Engine], draw: Callable[[], float], prompts: Sequence[Pieces] | None = None
    ) -> None:
        self.engines = engines
        self.prompts = prompts
        self.weights: Sequence[float] = ()
        self.draw = draw
        self._everywhere = range(len(engines))

    def open(self) -> Sequence[int]:
        """All of them."""
        return self._everywhere

    def outstanding(self) -> Sequence[int]:
        """Requests waiting or running, of every replica."""
        return [engine.outstanding for engine in self.engines]

    def prompt_tokens(self) -> Sequence[int]:
        """Tokens of the prompts of these requests, of every replica."""
        prompt = [engine.book.prompt for engine in self.engines]
        return [
            sum(prompt[place][request] for request in everybody_in(engine))
            for place, engine in enumerate(self.engines)
        ]

    def kv_blocks(self) -> Sequence[int]:
        """KV blocks held, of every replica."""
        return [engine.scheduler.load()[4] for engine in self.engines]

    def held_tokens(self, request: int) -> Sequence[int]:
        """Tokens of the prompt that the best of each replica's ranks holds."""
        return [max(_held(rank, request) for rank in ranks_of(engine.scheduler)) for engine in self.engines]


class Router(Protocol):
    """Chooses a replica when a request arrives. `looks` says whether it needs what goes on in the replicas,
    `exact` whether it needs their present state instead of what they last reported."""

    looks: bool
    exact: bool

    def __init__(self, replicas: Replicas) -> None: ...

    def choose(self, request: int) -> int:
        """The open replica for the request."""
        ...

    def forget(self, replica: int) -> None:
        """The replica's caches are lost."""
        ...


def _held(rank: Scheduler, request: int) -> int:
    table = rank.book.table[request]
    return 0 if table is None else rank.look_up(table, rank.book.prompt[request]).blocks * rank.size


def least(replicas: Iterable[int], measure: Callable[[int], float]) -> int:
    """The replica with the least measure, among equals the first."""
    return min(replicas, key=measure)

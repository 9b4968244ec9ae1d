"""Which replica a new request goes to. Ties go to the replica with the smallest number."""

from collections.abc import Callable, Sequence
from typing import Literal, Protocol, get_args

from sim.serving.engine import Engine

RouterName = Literal["round_robin", "least_outstanding", "least_kv", "prefix_affinity"]
ROUTERS: tuple[str, ...] = get_args(RouterName)


class Router(Protocol):
    """Chooses a replica when a request arrives. `looks` says whether it needs the replicas' present state."""

    looks: bool

    def choose(self, request: int) -> int:
        """The replica for the request."""
        ...


class RoundRobin:
    """One after the other."""

    looks = False

    def __init__(self, replicas: int) -> None:
        self.replicas = replicas
        self.next = -1

    def choose(self, request: int) -> int:
        """The next replica."""
        self.next = (self.next + 1) % self.replicas
        return self.next


class LeastOutstanding:
    """The replica with the fewest requests waiting or running."""

    looks = True

    def __init__(self, engines: Sequence[Engine]) -> None:
        self.engines = engines

    def choose(self, request: int) -> int:
        """The replica with the fewest requests in it."""
        return _least(self.engines, _outstanding)


class LeastKv:
    """The replica that holds the fewest KV blocks; among equals the one with the fewest requests."""

    looks = True

    def __init__(self, engines: Sequence[Engine]) -> None:
        self.engines = engines

    def choose(self, request: int) -> int:
        """The replica with the fewest blocks held."""
        return _least(self.engines, lambda engine: (engine.scheduler.load()[4], _outstanding(engine)))


class PrefixAffinity:
    """Requests whose prompts begin with the same piece of content stay together; a piece not seen before, and
    a prompt without shareable content, goes to the least outstanding replica."""

    looks = True

    def __init__(self, engines: Sequence[Engine], first_segment: Callable[[int], int | None]) -> None:
        self.engines = engines
        self.first_segment = first_segment
        self.home: dict[int, int] = {}

    def choose(self, request: int) -> int:
        """The home of the request's first piece."""
        segment = self.first_segment(request)
        if segment is not None and segment in self.home:
            return self.home[segment]
        replica = _least(self.engines, _outstanding)
        if segment is not None:
            self.home[segment] = replica
        return replica


def _outstanding(engine: Engine) -> int:
    _, _, running, waiting, _ = engine.scheduler.load()
    return running + waiting


def _least(engines: Sequence[Engine], measure: Callable[[Engine], object]) -> int:
    values = [measure(engine) for engine in engines]
    return values.index(min(values))  # type: ignore[type-var]


def make_router(
    name: RouterName, engines: Sequence[Engine], first_segment: Callable[[int], int | None]
) -> Router:
    """The router of that name over these replicas."""
    if name == "least_outstanding":
        return LeastOutstanding(engines)
    if name == "least_kv":
        return LeastKv(engines)
    if name == "prefix_affinity":
        return PrefixAffinity(engines, first_segment)
    return RoundRobin(len(engines))

"""What breaks when: failures of chips, servers and links, drawn or foreseen.

    failures of one part: a Poisson process of rate 1/MTBF;  n parts of a kind: rate n/MTBF

A replica computes every step on all its chips, so it stops with the first part that fails: the whole tensor-
and expert-parallel group goes. A server takes all replicas with a chip in it along.
"""

from collections.abc import Callable, Iterator
from functools import partial

from numpy.random import Generator

from sim.serving.clock import Clock
from sim.serving.operation.plan import Failures
from sim.workload.streams import stream

Stop = Callable[[int, float], None]


class Failing:
    """Puts the failures of a run on its clock.

    Attributes:
        happened: (time, kind, place) of every failure.
    """

    def __init__(
        self,
        clock: Clock,
        failures: Failures,
        replicas: int,
        chips: int,
        server: int,
        seed: int,
        stop: Stop,
    ) -> None:
        self.clock = clock
        self.chips = chips
        self.server = server
        self.replicas = replicas
        self.stop = stop
        self.happened: list[tuple[float, str, int]] = []
        for breakdown in failures.script:
            clock.at(breakdown.at, partial(self._fail, breakdown.kind, breakdown.place), background=True)
        every_chip = replicas * chips
        for kind, mtbf in sorted(failures.mtbf.items()):
            parts = -(-every_chip // server) if kind == "node" else every_chip
            self._next(kind, _gaps(parts, mtbf, stream(seed, f"{kind} failures")), 0.0)

    def _next(self, kind: str, gaps: Iterator[tuple[float, int]], now: float) -> None:
        gap, place = next(gaps)
        self.clock.at(now + gap, partial(self._drawn, kind, gaps, place), background=True)

    def _drawn(self, kind: str, gaps: Iterator[tuple[float, int]], place: int, time: float) -> None:
        self._fail(kind, place, time)
        self._next(kind, gaps, time)

    def _fail(self, kind: str, place: int, time: float) -> None:
        self.happened.append((time, kind, place))
        for replica in self.hit(kind, place):
            self.stop(replica, time)

    def hit(self, kind: str, place: int) -> range:
        """The replicas that need a part."""
        first, last = (place, place)
        if kind == "node":
            first, last = place * self.server, (place + 1) * self.server - 1
        return range(first // self.chips, min(last // self.chips + 1, self.replicas))


def _gaps(parts: int, mtbf: float, draws: Generator) -> Iterator[tuple[float, int]]:
    """(time since the last failure of any part, which part)."""
    while True:
        gap = float(draws.standard_exponential()) * mtbf / parts
        yield gap, int(draws.integers(parts))

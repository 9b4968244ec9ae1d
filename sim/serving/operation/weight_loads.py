"""Weights on their way from shared storage into starting replicas: flows that share it max-min fairly.

n replicas at once: each gets min(link, storage / n);   time = size / that + startup
"""

from collections.abc import Callable

from sim.network.flows import Flow, FlowNetwork
from sim.serving.clock import Clock
from sim.serving.operation.plan import Loading

Ready = Callable[[float], None]

_STORAGE = 0


class WeightLoads:
    """Loads of a run, on a clock.

    Attributes:
        finished: (start, end of the last byte) of each load that was not given up.
    """

    def __init__(self, clock: Clock, loading: Loading, replicas: int) -> None:
        self.clock = clock
        self.loading = loading
        self.flows = FlowNetwork([loading.storage, *[loading.link] * replicas])
        self.finished: list[tuple[float, float]] = []
        self._ready: dict[int, tuple[int, float, Ready]] = {}
        self._flow_of: dict[int, int] = {}
        self._version = 0

    def start(self, replica: int, time: float, ready: Ready) -> None:
        """A replica begins to read its weights; `ready(time)` is called when it can serve."""
        self._end(self.flows.advance(time))
        flow = Flow({_STORAGE: 1.0, 1 + replica: 1.0}, self.loading.size, time)
        number = self._flow_of[replica] = self.flows.start(flow)
        self._ready[number] = (replica, time, ready)
        self._watch()

    def give_up(self, replica: int, time: float) -> None:
        """A replica fails while it reads; those that go on get its share."""
        self._end(self.flows.advance(time))
        number = self._flow_of.pop(replica, None)
        if number is not None:
            self.flows.withdraw(number)
            del self._ready[number]
            self._watch()

    def _watch(self) -> None:
        """Look again when the next load ends."""
        self._version += 1
        version = self._version
        if self._ready:
            self.clock.at(self.flows.next_finish(), lambda now: self._look(version, now))

    def _look(self, version: int, time: float) -> None:
        if version == self._version:
            self._end(self.flows.advance(time))
            self._watch()

    def _end(self, ended: list[tuple[int, float]]) -> None:
        for number, time in ended:
            replica, start, ready = self._ready.pop(number)
            del self._flow_of[replica]
            self.finished.append((start, time))
            self.clock.at(time + self.loading.startup, ready)

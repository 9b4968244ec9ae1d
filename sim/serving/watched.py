"""Engines on a clock: each is looked at when something may happen in it that others wait for."""

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from math import inf, nextafter

from sim.serving.clock import Clock
from sim.serving.engine import Engine


class WatchedEngines:
    """Engines that report what happened.

    Callbacks of an engine put what happened into `happened`; nothing is done about it inside an engine's own
    step, but in `settle`, in order.

    Attributes:
        wanted: whether anybody waits for what may happen next in an engine; one that is not wanted is only
            advanced when it is touched.
    """

    def __init__(
        self,
        clock: Clock,
        engines: Sequence[Engine],
        happened: deque[Callable[[], None]],
        wanted: Callable[[Engine], bool],
    ) -> None:
        self.clock = clock
        self.engines = engines
        self.happened = happened
        self.wanted = wanted
        self._versions = [0] * len(engines)

    def advance_all(self, time: float) -> None:
        """Bring every engine to a time, for a router that looks."""
        for engine in self.engines:
            engine.advance(time)

    def touch(self, place: int, time: float, action: Callable[[Engine], None]) -> None:
        """Do something to an engine at a time."""
        engine = self.engines[place]
        engine.advance(time)
        action(engine)
        self.watch(place)

    def watch(self, place: int) -> None:
        """Look again when something may happen next."""
        self._versions[place] += 1
        engine = self.engines[place]
        if self.wanted(engine) and (time := engine.next_change()) < inf:
            self.clock.at(time, partial(self._look, place, self._versions[place]), late=True)

    def _look(self, place: int, version: int, time: float) -> None:
        if version != self._versions[place]:
            return
        engine = self.engines[place]
        engine.advance(time)
        if not self.happened:  # nobody is affected at this instant any more: make the calls that are due now
            engine.advance(nextafter(time, inf))
        self.settle()
        self.watch(place)

    def settle(self) -> None:
        """Act on what happened, and on what happens because of it."""
        while self.happened:
            self.happened.popleft()()

"""When requests come: at their time, when another ends (closed loop), or a pause after those they follow.

A request that is turned away ends where it arrives: whoever waits for its end goes on without the answer.
"""

from collections.abc import Callable
from functools import partial

from sim.serving.book import REFUSED, RequestBook
from sim.serving.clock import Clock
from sim.serving.followers import Followers
from sim.serving.invariants import Census
from sim.workload.requests import Requests


class Entrance:
    """Lets the requests of a run come, one after another, and ends the run with the last that leaves.

    Attributes:
        come: called with (request, time) when one comes; answers whether it was let in.
        settle: called after whatever happened on the clock.
        to_come: requests that have not come yet; census: those in the system.
    """

    def __init__(
        self,
        requests: Requests,
        book: RequestBook,
        clock: Clock,
        come: Callable[[int, float], bool],
        settle: Callable[[], None],
    ) -> None:
        self.concurrency = requests.concurrency
        self.book = book
        self.clock = clock
        self.come = come
        self.settle = settle
        self.to_come = len(requests)
        self.census = Census()
        self._followers = Followers(requests.follows, len(requests)) if requests.follows else None
        self._backlog = iter(self._followers.first if self._followers else range(len(requests)))

    def begin(self) -> None:
        """The first ones."""
        if self.concurrency is None:
            self._set_next()
        else:
            for _ in range(self.concurrency):
                self._enter_next(0.0)
            self.settle()

    def left(self, request: int, time: float) -> None:
        """A request that was let in has its answer, or never will."""
        self.census.change(time, -1)
        self._ended(request, time)
        if self.concurrency is not None:
            self._enter_next(time)

    def _set_next(self) -> None:
        """Sets the clock for the next arrival of an open loop that waits for nobody."""
        request = next(self._backlog, None)
        if request is not None:
            self.clock.at(self.book.arrival[request], partial(self._arrive, request))

    def _arrive(self, request: int, time: float) -> None:
        self._enter(request, time)
        self._set_next()
        self.settle()

    def _follow(self, request: int, time: float) -> None:
        self._enter(request, time)
        self.settle()

    def _enter_next(self, time: float) -> None:
        """The next request of a closed loop that is let in."""
        for request in self._backlog:
            self.book.arrival[request] = time
            if self._enter(request, time):
                return

    def _enter(self, request: int, time: float) -> bool:
        self.to_come -= 1
        self.census.change(time, 1)
        if self.book.state[request] != REFUSED and self.come(request, time):
            return True
        self.census.change(time, -1)
        self._ended(request, time)
        return False

    def _ended(self, request: int, time: float) -> None:
        if self._followers is not None:
            for follower, arrival in self._followers.released(request, time):
                self.book.arrival[follower] = arrival
                self.clock.at(arrival, partial(self._follow, follower))
        if not self.to_come and not self.census.count:
            self.clock.clear()

"""Transfers as flows: those that share a link share it max-min fairly, as discrete events.

A flow's rate is constant between two events (a start, a finish, a withdrawal) and is found anew at each:

    rates = max_min(capacities, links of the flows, limits)
    remaining(t) = remaining(t0) − rate·(t − t0)

`FlowNetwork` is a state machine without a clock of its own: the caller starts flows, asks for `next_finish`
and advances. `finish_times` runs a fixed set of flows; `sim.network.simulated` puts the machine into a SimPy
environment. Latency is the caller's: bytes flow from `start` on.

Ties: flows that finish at the same time finish in the order they were started.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from sim.network.fair_share import Uses, max_min

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Flow:
    """Bytes to move over links from a time on.

    Attributes:
        uses: of each link it crosses (its place among the network's capacities) the bytes on the link per
            byte of the flow, 1 along a path. A phase of a collective is one flow over all its ranks' links.
        size: bytes; infinite for traffic without end.
        start: s.
        limit: B/s it cannot exceed whatever the links have left.
    """

    uses: Uses
    size: float
    start: float = 0.0
    limit: float = inf


@dataclass(slots=True)
class _Moving:
    """A flow under way: `remaining` bytes at time `since`, `rate` from then on."""

    flow: Flow
    remaining: float
    since: float
    rate: float = 0.0
    finish: float = inf

    def turn(self, now: float, rate: float) -> None:
        """Takes another rate from now on; one that keeps its rate keeps its finish to the last bit."""
        if rate == self.rate:
            return
        self.remaining -= self.moved(now)
        self.since, self.rate = now, rate
        if self.remaining <= 0.0 or rate == inf:
            self.finish = now
        else:
            self.finish = now + self.remaining / rate if rate > 0.0 else inf

    def moved(self, now: float) -> float:
        """Bytes since the rate last changed."""
        if self.rate == inf or now >= self.finish:
            return self.remaining
        return min(self.rate * (now - self.since), self.remaining)


class FlowNetwork:
    """Links of given capacities and the flows on them.

    Attributes:
        now: s, the time everything is known at.
        capacity: B/s of each link.
    """

    def __init__(self, capacity: Sequence[float], now: float = 0.0) -> None:
        self.now = now
        self.capacity = tuple(capacity)
        self._moving: dict[int, _Moving] = {}
        self._started = 0
        self._settled = True

    def start(self, flow: Flow) -> int:
        """Starts a flow at its start time and returns its number.

        Raises:
            ValueError: if the start has passed, the size is negative or a link does not exist.
        """
        if flow.start < self.now - _ROUNDING * max(1.0, abs(self.now)):
            raise ValueError(f"a flow cannot start at {flow.start} s: it is {self.now} s")
        if flow.size < 0 or not all(0 <= link < len(self.capacity) for link in flow.uses):
            raise ValueError(f"{flow} has a negative size or a link beyond {len(self.capacity)}")
        if self.next_finish() < flow.start:
            raise ValueError("advance to the flows that finish before this one starts")
        self.now = max(self.now, flow.start)
        number = self._started
        self._started += 1
        self._moving[number] = _Moving(flow, flow.size, self.now, finish=inf if flow.size else self.now)
        self._settled = False
        return number

    def next_finish(self) -> float:
        """When the next flow finishes if none starts before; infinite if none ever does."""
        self._settle()
        return min((moving.finish for moving in self._moving.values()), default=inf)

    def advance(self, to: float) -> list[tuple[int, float]]:
        """Moves time on and returns (number, finish time) of the flows that finish up to it, in order.

        Raises:
            ValueError: if `to` has passed.
        """
        if to < self.now - _ROUNDING * max(1.0, abs(self.now)):
            raise ValueError(f"time cannot go back to {to} s: it is {self.now} s")
        finished: list[tuple[int, float]] = []
        while (at := self.next_finish()) <= to and at < inf:
            self.now = max(self.now, at)
            for number in [n for n, moving in self._moving.items() if moving.finish <= at]:
                del self._moving[number]
                finished.append((number, at))
            self._settled = False
        if to < inf:
            self.now = max(self.now, to)
        return finished

    def withdraw(self, number: int) -> float:
        """Ends a flow now and returns the bytes it has not moved.

        Raises:
            KeyError: if it has finished.
        """
        remaining = self.remaining(number)
        del self._moving[number]
        self._settled = False
        return remaining

    def remaining(self, number: int) -> float:
        """Bytes a flow has still to move."""
        self._settle()
        moving = self._moving[number]
        return moving.remaining - moving.moved(self.now)

    def rate(self, number: int) -> float:
        """B/s of a flow under way; one that is not has none."""
        self._settle()
        moving = self._moving.get(number)
        return 0.0 if moving is None else moving.rate

    def load(self) -> list[float]:
        """B/s that each link carries now."""
        self._settle()
        carried = [0.0] * len(self.capacity)
        for moving in self._moving.values():
            for link, use in moving.flow.uses.items():
                carried[link] += use * moving.rate
        return carried

    def _settle(self) -> None:
        """Finds the rates anew after a start or an end."""
        if self._settled:
            return
        moving = [m for m in self._moving.values() if m.flow.size]
        flows = [m.flow for m in moving]
        rates = max_min(self.capacity, [f.uses for f in flows], [f.limit for f in flows])
        for one, rate in zip(moving, rates, strict=True):
            one.turn(self.now, rate)
        self._settled = True


def finish_times(capacity: Sequence[float], flows: Sequence[Flow]) -> list[float]:
    """When each flow finishes, in their order; infinite for one without end.

    Args:
        capacity: B/s of each link.
        flows: in any order of start.
    """
    network = FlowNetwork(capacity, min((flow.start for flow in flows), default=0.0))
    finish = [inf] * len(flows)
    places: list[int] = []  # of the flows by number
    for place in sorted(range(len(flows)), key=lambda i: flows[i].start):
        for number, at in network.advance(flows[place].start):
            finish[places[number]] = at
        network.start(flows[place])
        places.append(place)
    for number, at in network.advance(inf):
        finish[places[number]] = at
    return finish

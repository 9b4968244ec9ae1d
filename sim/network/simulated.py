"""Flows inside a SimPy environment: a process waits for its transfer while others share the links.

    links = SimulatedLinks(env, [50e9, 50e9])
    finished = links.transfer({0: 1.0, 1: 1.0}, size=1e9)
    yield finished

Imports simpy, so nothing imports this module that does not simulate.
"""

from collections.abc import Callable, Sequence
from math import inf
from typing import cast

import simpy

from sim.network.fair_share import Uses
from sim.network.flows import Flow, FlowNetwork


class SimulatedLinks:
    """Links of given capacities (B/s) whose flows are events of an environment."""

    def __init__(self, env: simpy.Environment, capacity: Sequence[float]) -> None:
        self._env = env
        self._network = FlowNetwork(capacity, env.now)
        self._waiting: dict[int, simpy.Event] = {}
        self._alarm: simpy.Timeout | None = None

    def transfer(self, uses: Uses, size: float, limit: float = inf) -> simpy.Event:
        """Starts a flow now; the event succeeds with its finish time (s) when its last byte has arrived.

        Args:
            uses: bytes on each link per byte of the flow; size: bytes; limit: B/s.
        """
        self._catch_up()
        number = self._network.start(Flow(uses, size, self._network.now, limit))
        finished = self._waiting[number] = self._env.event()
        self._set_alarm()
        return finished

    def withdraw(self, finished: simpy.Event) -> float:
        """Ends the flow of this event, which then never happens; returns the bytes it has not moved.

        Raises:
            KeyError: if it has finished.
        """
        self._catch_up()
        number = next((n for n, event in self._waiting.items() if event is finished), -1)
        remaining = self._network.withdraw(number)
        del self._waiting[number]
        self._set_alarm()
        return remaining

    def load(self) -> list[float]:
        """B/s that each link carries now."""
        self._catch_up()
        return self._network.load()

    def _catch_up(self) -> None:
        self._arrive(max(self._env.now, self._network.now))

    def _arrive(self, at: float) -> None:
        for number, finish in self._network.advance(at):
            self._waiting.pop(number).succeed(finish)

    def _set_alarm(self) -> None:
        """One timeout is pending for the next finish; those of finishes that have moved are ignored."""
        at = self._network.next_finish()
        if at == inf:
            self._alarm = None
            return
        alarm = self._env.timeout(max(at - self._env.now, 0.0))
        self._alarm = alarm

        def ring(event: simpy.Event) -> None:
            if event is self._alarm:
                self._arrive(at)  # not env.now, which may have lost the last bit of it
                self._set_alarm()

        cast("list[Callable[[simpy.Event], None]]", alarm.callbacks).append(ring)

"""The life of the replicas: started, serving, drained, failed, repaired, loaded again.

    off ─► starting ─► up ─► draining ─► off                       (autoscaling)
                       up ─► draining ─► maintenance ─► reloading ─► up
                       up ─► dead ─► repairing ─► reloading ─► up   (dead: failed, and nobody knows yet)

A failure takes effect with the end of the steps in flight (at most two). What a replica computed of the
requests in it is lost but for the tokens that were delivered. While it is dead the router goes on sending to
it; when the failure is detected, everybody who was sent there is sent again.
"""

from collections.abc import Callable
from functools import partial
from typing import Protocol

from sim.serving.clock import Clock
from sim.serving.operation.plan import Operation
from sim.serving.operation.weight_loads import WeightLoads
from sim.serving.records import State


class House(Protocol):
    """Whose replicas they are: what happens to requests and engines when a replica's state changes."""

    def opened(self, replica: int, time: float) -> None:
        """It takes requests from now on."""
        ...

    def closed(self, replica: int) -> None:
        """It takes none any more."""
        ...

    def broken(self, replica: int, time: float) -> float:
        """Its engine is no more; returns when the steps in flight end."""
        ...

    def send_again(self, replica: int, time: float, *, failed: bool) -> None:
        """Everybody who was sent there and has no answer goes elsewhere."""
        ...

    def inside(self, replica: int) -> int:
        """Requests that were sent there and have no answer."""
        ...


class Lifecycle:
    """States by replica, and when they change.

    Attributes:
        changes: (time, replica, new state) of every change.
        retiring: replicas that are drained in order to be switched off.
    """

    def __init__(self, clock: Clock, operation: Operation, replicas: int, house: House) -> None:
        self.clock = clock
        self.operation = operation
        self.house = house
        self.loads = WeightLoads(clock, operation.loading, replicas)
        self.state: list[State] = ["off"] * replicas
        self.changes: list[tuple[float, int, State]] = []
        self.retiring: set[int] = set()
        self._down_for = [0.0] * replicas
        self._version = [0] * replicas

    def count(self, *states: State) -> int:
        """Replicas in any of the states."""
        return sum(self.state.count(state) for state in states)

    def keep_off(self, replica: int) -> None:
        """A replica that is not there at the start."""
        self._enter(replica, "off", 0.0)

    def start(self, replica: int, time: float, delay: float) -> None:
        """Switch a replica on: its chips are at hand after `delay` s, then it loads its weights."""
        self._enter(replica, "starting", time)
        self._later(replica, time + delay, self._load)

    def serve(self, replica: int, time: float) -> None:
        """It takes requests from now on."""
        self._enter(replica, "up", time)
        self.house.opened(replica, time)

    def drain(self, replica: int, time: float, down_for: float | None = None) -> None:
        """Take a replica out once its requests are done: for so long, or (None) for good."""
        self._enter(replica, "draining", time)
        if down_for is None:
            self.retiring.add(replica)
        else:
            self._down_for[replica] = down_for
        self.house.closed(replica)
        if self.house.inside(replica):
            self._later(replica, time + self.operation.drain, self._hand_over)
        else:
            self.emptied(replica, time)

    def emptied(self, replica: int, time: float) -> None:
        """A replica that is drained has no requests any more."""
        if replica in self.retiring:
            self.retiring.remove(replica)
            self._enter(replica, "off", time)
        else:
            self._enter(replica, "maintenance", time)
            self._later(replica, time + self._down_for[replica], self._reload)

    def fail(self, replica: int, time: float) -> None:
        """Something that the replica needs breaks; nothing happens to one that is down already."""
        before = self.state[replica]
        if before in ("off", "dead", "repairing", "maintenance"):
            return
        if before in ("starting", "reloading"):
            self.loads.give_up(replica, time)
        self._enter(replica, "dead", time)
        over = self.house.broken(replica, time) if before in ("up", "draining") else time
        self._later(replica, max(over, time + self.operation.failures.detection), self._detected)

    def _detected(self, replica: int, time: float) -> None:
        """It is known that a replica is dead."""
        retired = replica in self.retiring
        self.retiring.discard(replica)
        self._enter(replica, "off" if retired else "repairing", time)
        if not retired:
            self._later(replica, time + self.operation.failures.repair, self._reload)
        self.house.closed(replica)
        self.house.send_again(replica, time, failed=True)

    def _hand_over(self, replica: int, time: float) -> None:
        """A replica has been drained for long enough: the requests it still has go elsewhere."""
        over = self.house.broken(replica, time)
        self._later(replica, over, self._handed_over)

    def _handed_over(self, replica: int, time: float) -> None:
        self.house.send_again(replica, time, failed=False)
        self.emptied(replica, time)

    def _reload(self, replica: int, time: float) -> None:
        self._enter(replica, "reloading", time)
        self._load(replica, time)

    def _load(self, replica: int, time: float) -> None:
        version = self._version[replica]

        def ready(now: float) -> None:
            if self._version[replica] == version:
                self.serve(replica, now)

        self.loads.start(replica, time, ready)

    def _enter(self, replica: int, state: State, time: float) -> None:
        self.state[replica] = state
        self._version[replica] += 1
        self.changes.append((time, replica, state))

    def _later(self, replica: int, time: float, action: Callable[[int, float], None]) -> None:
        """Unless the state has changed by then."""
        self.clock.at(time, partial(self._if_still, replica, self._version[replica], action))

    def _if_still(
        self, replica: int, version: int, action: Callable[[int, float], None], time: float
    ) -> None:
        if self._version[replica] == version:
            action(replica, time)

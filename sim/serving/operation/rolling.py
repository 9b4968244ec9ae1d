"""Rolling maintenance: every replica in turn is drained, taken down for a while, and loaded again."""

from sim.serving.operation.lifecycle import Lifecycle
from sim.serving.operation.plan import Maintenance


class Rolling:
    """At most `at_once` replicas are out at a time; those that are not up when their turn comes are passed
    over."""

    def __init__(self, maintenance: Maintenance, lifecycle: Lifecycle) -> None:
        self.maintenance = maintenance
        self.lifecycle = lifecycle
        self._to_come = iter(range(len(lifecycle.state)))
        self._out: set[int] = set()

    def begin(self, time: float) -> None:
        """The first ones."""
        self._next(time)

    def back(self, replica: int, time: float) -> None:
        """A replica is up again: the next one's turn."""
        if replica in self._out:
            self._out.remove(replica)
            self._next(time)

    def _next(self, time: float) -> None:
        while len(self._out) < self.maintenance.at_once:
            replica = next((r for r in self._to_come if self.lifecycle.state[r] == "up"), None)
            if replica is None:
                return
            self._out.add(replica)
            self.lifecycle.drain(replica, time, self.maintenance.duration)

"""What is done with replicas over time: how many there are, how fast they are, when they are out."""

from collections.abc import Callable, Iterator
from math import inf, prod

from sim.serving.clock import Clock
from sim.serving.operation.autoscaling import Demand
from sim.serving.operation.lifecycle import Lifecycle
from sim.serving.operation.plan import Operation
from sim.serving.operation.rolling import Rolling
from sim.serving.operation.scaler import Scaler
from sim.serving.operation.slowdowns import Period
from sim.workload.streams import stream


class Upkeep:
    """Puts autoscaling, maintenance and slowdowns on a run's clock.

    Attributes:
        demand: (time, replicas that serve or are on their way) → what the autoscaler looks at.
        slow: called with (replica, time, factor) when steps begin to take factor times as long.
    """

    def __init__(
        self,
        clock: Clock,
        operation: Operation,
        lifecycle: Lifecycle,
        demand: Callable[[float, int], Demand],
        slow: Callable[[int, float, float], None],
    ) -> None:
        self.clock = clock
        self.operation = operation
        self.lifecycle = lifecycle
        self.demand = demand
        self.slow = slow
        self.rolling = Rolling(operation.maintenance, lifecycle) if operation.maintenance else None
        self._factors: list[list[float]] = [[] for _ in lifecycle.state]

    def begin(self, seed: int) -> None:
        """The replicas of the start serve; the rest is set on the clock."""
        operation, life = self.operation, self.lifecycle
        replicas = len(life.state)
        at_start = replicas if operation.autoscaling is None else operation.autoscaling.at_start
        for replica in range(replicas):
            if replica < at_start:
                life.serve(replica, 0.0)
            else:
                life.keep_off(replica)
        if operation.autoscaling is not None:
            scaler = Scaler(operation.autoscaling, life, replicas)
            self._look(scaler, operation.autoscaling.interval)
        if self.rolling is not None:
            self.clock.at(self.rolling.maintenance.start, self.rolling.begin, background=True)
        for number, slowdown in enumerate(operation.slowdowns):
            for replica in range(replicas):
                draws = stream(seed, f"slowdown {number}", replica)
                self._slow_next(replica, slowdown.factor, slowdown.periods(replica, draws))

    def _look(self, scaler: Scaler, time: float) -> None:
        """The autoscaler's next look, and so on."""

        def look(now: float) -> None:
            scaler.act(now, self.demand(now, scaler.replicas))
            self._look(scaler, now + scaler.scaling.interval)

        self.clock.at(time, look, background=True)

    def _slow_next(self, replica: int, factor: float, periods: Iterator[Period]) -> None:
        """A replica's next slow period of one kind."""
        start, end = next(periods, (inf, inf))
        if start == inf:
            return

        def begin(time: float) -> None:
            self._change(replica, time, factor, begins=True)
            if end < inf:
                self.clock.at(end, over, background=True)

        def over(time: float) -> None:
            self._change(replica, time, factor, begins=False)
            self._slow_next(replica, factor, periods)

        self.clock.at(start, begin, background=True)

    def _change(self, replica: int, time: float, factor: float, *, begins: bool) -> None:
        factors = self._factors[replica]
        if begins:
            factors.append(factor)
        else:
            factors.remove(factor)
        self.slow(replica, time, prod(factors))

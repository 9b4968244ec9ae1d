"""The autoscaler at work: looks at the demand, starts replicas and drains them."""

from collections import deque
from collections.abc import Sequence

from sim.serving.operation.autoscaling import Demand, Scaling
from sim.serving.operation.lifecycle import Lifecycle


class Scaler:
    """Growing at once, shrinking to the most that was wanted within the stabilisation window.

    Started is the replica with the smallest number; drained the one with the fewest requests, of equals the
    one with the greatest number.
    """

    def __init__(self, scaling: Scaling, lifecycle: Lifecycle, most: int) -> None:
        self.scaling = scaling
        self.lifecycle = lifecycle
        self.most = most
        self._wanted: deque[tuple[float, int]] = deque()

    @property
    def replicas(self) -> int:
        """Those that serve or are on their way: one under repair may be hours away."""
        life = self.lifecycle
        return life.count("up", "starting", "reloading", "dead")

    def act(self, time: float, demand: Demand) -> None:
        """Start or drain what the demand asks for."""
        scaling, life, present = self.scaling, self.lifecycle, demand.replicas
        wanted = min(max(scaling.wanted(demand), scaling.least), self.most)
        self._wanted.append((time, wanted))
        while self._wanted[0][0] < time - scaling.stabilisation:
            self._wanted.popleft()
        off = [replica for replica, state in enumerate(life.state) if state == "off"]
        for replica in off[: max(0, wanted - present)]:
            life.start(replica, time, scaling.delay)
        spare = present - max(wanted for _, wanted in self._wanted)
        up = [replica for replica, state in enumerate(life.state) if state == "up"]
        up.sort(key=lambda replica: (life.house.inside(replica), -replica))
        for replica in up[: max(0, min(spare, len(up) - 1))]:
            life.drain(replica, time)


class FirstTokens:
    """Requests whose first token the autoscaler waits for."""

    def __init__(self, arrival: Sequence[float], first_token: Sequence[float | None]) -> None:
        self.arrival = arrival
        self.first_token = first_token
        self.awaited: dict[int, None] = {}

    def look(self, time: float) -> tuple[float, ...]:
        """TTFT of those who got it since the last look, then how long the others have waited (s)."""
        got, waiting = list[float](), list[float]()
        for request in list(self.awaited):
            first = self.first_token[request]
            if first is None or first > time:
                waiting.append(time - self.arrival[request])
            else:
                got.append(first - self.arrival[request])
                del self.awaited[request]
        return (*got, *waiting)

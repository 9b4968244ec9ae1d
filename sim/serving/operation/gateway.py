"""The gateway: lets requests in, keeps those for which there is no room, and says whose turn it is.

room = requests inside < limit · open replicas      (without a limit: a replica is open)
"""

from collections.abc import Callable, Iterator

from sim.serving.operation.admission import Seen
from sim.serving.operation.orders import Clients, make_order
from sim.serving.operation.plan import Operation
from sim.serving.records import Reason


class Gateway:
    """What waits, and why somebody is refused.

    Attributes:
        seen: what waits and what is inside; the fleet keeps `inside` and `open` up to date.
        waits: (from, to) of everybody who waited here.
        refuse: called with (request, reason, time).
    """

    def __init__(
        self, operation: Operation, clients: Clients, refuse: Callable[[int, Reason, float], None]
    ) -> None:
        self.limit = operation.limit
        self.clients = clients
        self.order = make_order(operation.order, clients)
        self.gate = None if operation.admission is None else operation.admission.gate()
        self.refuse = refuse
        self.seen = Seen()
        self.waits: list[tuple[float, float]] = []
        self._since: dict[int, float] = {}

    def arrive(self, request: int, time: float) -> bool:
        """A request comes; False if it is refused."""
        if self.gate is not None and not self.gate.lets_in(self.clients.of[request], time, self.seen):
            self.refuse(request, self.gate.reason, time)
            return False
        self.order.add(request)
        self._since[request] = time
        self.seen.waiting += 1
        return True

    def again(self, request: int, time: float) -> None:
        """A request that was let in before comes back."""
        self.order.put_back(request)
        self._since[request] = time
        self.seen.waiting += 1

    def ready(self, time: float) -> Iterator[int]:
        """Those whose turn it is, as long as there is room; the caller sends each before it asks for the
        next."""
        seen, gate = self.seen, self.gate
        while seen.waiting and seen.open:
            if self.limit is not None and seen.inside >= self.limit * seen.open:
                return
            request = self.order.take()
            seen.waiting -= 1
            since = self._since.pop(request)
            if time > since:
                self.waits.append((since, time))
            if gate is not None and not gate.lets_start(time - since):
                self.refuse(request, gate.reason, time)
                continue
            yield request

    def left_over(self) -> Iterator[int]:
        """Who still waits when nothing can happen any more."""
        while self.seen.waiting:
            self.seen.waiting -= 1
            yield self.order.take()

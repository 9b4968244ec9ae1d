"""Fair shares of tokens among clients, within each priority: the virtual token counter.

    counter of client c += (prompt tokens + 2·output tokens) / weight of c
    next                 = the first request of the client with the least counter, among those who wait with
                           the most urgent priority

Prompt tokens are charged when a request is sent to an engine, output tokens when its answer is complete. A
client that starts to wait is lifted to the least counter of those who wait: nobody saves up service. Two
clients that wait all the time then differ by no more than what is in the engines. Source: Sheng et al.,
*Fairness in Serving Large Language Models*, OSDI 2024 (there output tokens are charged as they come).
"""

from collections import deque

from sim.serving.operation.orders.order import Clients

OUTPUT_COST = 2.0
"""An output token costs so many prompt tokens, as in the source (and as API prices go)."""


class Fair:
    """A queue for each (priority, client), and a counter for each client."""

    def __init__(self, clients: Clients) -> None:
        self.clients = clients
        self.counter = [0.0] * len(clients.weights)
        self.queues: dict[tuple[int, int], deque[int]] = {}
        self.count = 0

    def __len__(self) -> int:
        return self.count

    def add(self, request: int) -> None:
        """To the end of its client's queue."""
        self._queue(request).append(request)

    def put_back(self, request: int) -> None:
        """To the front of its client's queue."""
        self._queue(request).appendleft(request)

    def _queue(self, request: int) -> deque[int]:
        clients, counter = self.clients, self.counter
        client = clients.of[request]
        waiting = {other for _, other in self.queues}
        if waiting and client not in waiting:
            counter[client] = max(counter[client], min(counter[other] for other in waiting))
        self.count += 1
        return self.queues.setdefault((clients.priority[request], client), deque())

    def take(self) -> int:
        """The client served least, of those with the most urgent request."""
        counter = self.counter
        key = min(self.queues, key=lambda k: (k[0], counter[k[1]], k[1]))
        queue = self.queues[key]
        request = queue.popleft()
        if not queue:
            del self.queues[key]
        self.count -= 1
        self._charge(request, self.clients.prompt[request])
        return request

    def finished(self, request: int) -> None:
        """Its output is charged."""
        self._charge(request, OUTPUT_COST * self.clients.output[request])

    def _charge(self, request: int, tokens: float) -> None:
        client = self.clients.of[request]
        self.counter[client] += tokens / self.clients.weights[client]

"""The servers in front of an engine: when the engine gets a request that has arrived.

A server is a process that accepts and tokenises requests, one after another, and hands the engine's tokens
back to their streams. The first of c that is free takes a request:
    free    = max(arrival, free) + request + prompt_token · prompt tokens      it is busy until then
    through = free + latency
    ready   = through + stream · sequences that run when it is through / c

`stream` is what each running sequence of a server delays a newcomer by: the tokens of a step, in server and
client, that are handled before its request and before its first token. `latency` is the rest of the way, both
directions taken together: HTTP, hand-over between processes, detokenising. Requests do not overtake one
another. Tokens after the first are handled while the device computes the next step.

The running sequences are counted so late because then the engine need not stop for an arrival: it stops once
the request is through, and by the end of that step the request is mostly ready too.
"""

from collections import deque
from heapq import heapreplace

from sim.deployment.deployment import FrontEndCosts


class FrontEnd:
    """The front end of one engine, of so many servers; times are the engine's.

    Attributes:
        taken: requests on their way through it, as (when each is through, request), in order.
    """

    __slots__ = ("_costs", "_free", "_ready", "_through", "taken")

    def __init__(self, costs: FrontEndCosts, servers: int = 1) -> None:
        self._costs = costs
        self._free = [0.0] * servers
        self._ready = 0.0
        self._through = 0.0
        self.taken: deque[tuple[float, int]] = deque()

    def take(self, request: int, time: float, prompt: int) -> None:
        """A request of `prompt` tokens arrives."""
        costs = self._costs
        free = max(time, self._free[0]) + costs.request + costs.prompt_token * prompt
        heapreplace(self._free, free)
        self._through = max(self._through, free + costs.latency)
        self.taken.append((self._through, request))

    def hand_over(self, running: int) -> tuple[float, int]:
        """The first of `taken` is through while so many run: (when the engine gets it, request)."""
        through, request = self.taken.popleft()
        self._ready = max(self._ready, through + self._costs.stream * running / len(self._free))
        return self._ready, request

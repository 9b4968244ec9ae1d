"""The replicas as a router sees them from reports: what ended is known once it has been reported.

    report k is of time k·staleness and is there at that time
    outstanding of replica r = requests sent to r - requests of r that ended before the last report

What the router itself sent it knows at once, as vLLM's data-parallel balancer adds its own requests to the
counts of the last report (`v1/engine/core_client.py`): without that, all requests between two reports would
go to the same replica. With staleness 0 this is the present state.
"""

from collections import deque
from collections.abc import Callable, Sequence

from sim.workload.requests import Pieces


class ReportedReplicas:
    """Counts by replica, kept up with reports instead of being looked up in the engines."""

    def __init__(
        self,
        count: int,
        lengths: Sequence[int],
        staleness: float,
        weights: Sequence[float],
        draw: Callable[[], float],
        held: Callable[[], Sequence[int]],
        prompts: Sequence[Pieces] | None,
        known: Callable[[int], Sequence[int]],
    ) -> None:
        self.prompts = prompts
        self.weights = weights
        self.draw = draw
        self.up: list[int] = []
        self.lengths = lengths
        self.staleness = staleness
        self.requests = [0] * count
        self.tokens = [0] * count
        self.held = held
        self.known = known
        self._unreported: deque[tuple[float, int, int]] = deque()

    def open(self) -> Sequence[int]:
        """The replicas that take requests, as far as is known."""
        return self.up

    def outstanding(self) -> Sequence[int]:
        """Requests of every replica."""
        return self.requests

    def prompt_tokens(self) -> Sequence[int]:
        """Tokens of their prompts."""
        return self.tokens

    def kv_blocks(self) -> Sequence[int]:
        """Blocks held at present: this is looked up."""
        return self.held()

    def held_tokens(self, request: int) -> Sequence[int]:
        """Tokens of the prompt that the replicas' caches are known to hold."""
        return self.known(request)

    def sent(self, request: int, replica: int) -> None:
        """A request goes to a replica."""
        self.requests[replica] += 1
        self.tokens[replica] += self.lengths[request]

    def ended(self, request: int, replica: int, time: float) -> None:
        """A request has left a replica; the next report says so."""
        self._unreported.append((time, replica, self.lengths[request]))

    def report(self, now: float) -> None:
        """Bring the counts to the last report before `now`."""
        unreported = self._unreported
        if not unreported:
            return
        last = now // self.staleness * self.staleness if self.staleness else now
        while unreported and unreported[0][0] <= last:
            _, replica, tokens = unreported.popleft()
            self.requests[replica] -= 1
            self.tokens[replica] -= tokens

    def lost(self, replica: int) -> None:
        """Nothing is left in a replica."""
        self.requests[replica] = self.tokens[replica] = 0
        self._unreported = deque(entry for entry in self._unreported if entry[1] != replica)

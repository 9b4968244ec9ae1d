"""Requests that come when others are answered.

    arrival of i = max over what it waits for of its end + pause_i

A request that is refused ends where it arrives: an agent goes on without that answer.
"""

from sim.workload.requests import Follows


class Followers:
    """Who is still waited for, and by whom.

    Attributes:
        first: requests that wait for nobody, in order.
    """

    def __init__(self, follows: Follows | None, count: int) -> None:
        self._waits = [0] * count
        self._next: dict[int, list[int]] = {}
        self._pause: list[float] = [] if follows is None else follows.pause.tolist()
        if follows is not None:
            edges: list[tuple[int, int]] = list(
                zip(follows.request.tolist(), follows.before.tolist(), strict=True)
            )
            for request, before in edges:
                self._waits[request] += 1
                self._next.setdefault(before, []).append(request)
        self.first = [request for request, waits in enumerate(self._waits) if not waits]

    def released(self, ended: int, time: float) -> list[tuple[int, float]]:
        """Those for whom `ended`, at `time`, was the last they waited for, and when each comes."""
        due: list[tuple[int, float]] = []
        for request in self._next.pop(ended, ()):
            self._waits[request] -= 1
            if not self._waits[request]:
                due.append((request, time + self._pause[request]))
        return due

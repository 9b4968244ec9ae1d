"""The clock that couples engines: what is due at a time happens then, ties in the order of asking."""

from collections.abc import Callable
from heapq import heappop, heappush

Action = Callable[[float], None]


class Clock:
    """A heap of (time, late, order, action); actions are functions, not processes: their state is in sight.

    `late` actions come after all others of the same time: an engine decides its next step when everything
    that happens at that instant has happened.
    """

    __slots__ = ("_due", "_order", "now")

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, bool, int, Action]] = []
        self._order = 0

    def at(self, time: float, action: Action, *, late: bool = False) -> None:
        """Call `action(time)` at `time`, or now if that has passed."""
        self._order += 1
        heappush(self._due, (max(time, self.now), late, self._order, action))

    def run(self) -> None:
        """Until nothing is due any more."""
        due = self._due
        while due:
            self.now, _, _, action = heappop(due)
            action(self.now)

"""The clock that couples engines: what is due at a time happens then, ties in the order of asking."""

from collections.abc import Callable
from heapq import heappop, heappush

Action = Callable[[float], None]


class Clock:
    """A heap of (time, late, order, action); actions are functions, not processes: their state is in sight.

    `late` actions come after all others of the same time: an engine decides its next step when everything
    that happens at that instant has happened. `background` actions happen as long as others are due: a
    failure, a look at the load; they keep no run going.
    """

    __slots__ = ("_background", "_due", "_order", "now")

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, bool, int, Action]] = []
        self._background: set[int] = set()
        self._order = 0

    def at(self, time: float, action: Action, *, late: bool = False, background: bool = False) -> None:
        """Call `action(time)` at `time`, or now if that has passed."""
        self._order += 1
        if background:
            self._background.add(self._order)
        heappush(self._due, (max(time, self.now), late, self._order, action))

    def run(self) -> None:
        """Until nothing is due any more."""
        due, background = self._due, self._background
        while len(due) > len(background):
            self.now, _, order, action = heappop(due)
            background.discard(order)
            action(self.now)

    def clear(self) -> None:
        """Nothing that is due matters any more."""
        self._due.clear()
        self._background.clear()

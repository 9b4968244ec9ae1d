"""Achieved fractions of one kind of memory on dimensionless axes, and between their nodes.

    rate     pin rate over the device's own: DRAM keeps its times, so all of them grow in bursts
    window   requests in flight among which the controller of one pseudo-channel chooses
    entry    a stream; reads and writes mixed; pieces of so many lines gathered, or written, side by side

Between nodes the cost 1/f is linear in the rate, in 1/window and in 1/lines, as it is where one limit rules:
activation rate, latency · bandwidth, bursts per turnaround, lines per activation. Beyond the highest rate and
below the smallest window it goes on in a straight line; beyond other ends the nearest node counts.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from sim.operators.access import KINDS, Kind

RATES = (0.5, 0.75, 1.0, 1.5)
WINDOWS = (256, 128, 32, 16, 8)
GATHERED = (1, 2, 4, 8, 16, 64, 512)
APPENDED = (2, 8, 32)
ENTRIES: tuple[tuple[Kind, int], ...] = (
    ("stream", 0),
    ("mixed", 16),
    *(("gather", lines) for lines in GATHERED),
    *(("append", lines) for lines in APPENDED),
)
"""What is measured at each rate and window: the kind of access, and the lines of a piece in a channel."""

SIZE = len(RATES) * len(WINDOWS) * len(ENTRIES)

_PLACES: dict[str, list[tuple[int, int]]] = {
    kind: [(n, lines) for n, (k, lines) in enumerate(ENTRIES) if k == kind] for kind in KINDS
}
_SHARES_OF_A_REQUEST = [1.0 / window for window in WINDOWS]


@dataclass(frozen=True, slots=True)
class FractionTable:
    """Fractions and causes of loss by (rate, window, entry), flat, the entry fastest.

    Attributes:
        causes: empty where only fractions were derived.
    """

    fractions: tuple[float, ...]
    causes: tuple[str, ...] = ()

    def at(self, rate: float, window: float, kind: Kind, lines: float) -> tuple[float, str]:
        """(fraction, largest cause of loss) of accesses whose pieces are `lines` long in a channel."""
        cost, heaviest, cause = 0.0, 0.0, ""
        for r, of_rate in _between(RATES, rate):
            for w, of_window in _between(_SHARES_OF_A_REQUEST, 1.0 / window):
                for entry, of_lines in _entries(kind, lines):
                    at = (r * len(WINDOWS) + w) * len(ENTRIES) + entry
                    weight = of_rate * of_window * of_lines
                    cost += weight / self.fractions[at]
                    if self.causes and weight > heaviest:
                        heaviest, cause = weight, self.causes[at]
        return 1.0 / max(cost, 1.0), cause


def _between(nodes: Sequence[float], x: float) -> list[tuple[int, float]]:
    """(place, weight) of the ascending nodes that stand for x: the first below it, a line through the last
    two beyond the end."""
    if x <= nodes[0]:
        return [(0, 1.0)]
    n = min(bisect_right(nodes, x), len(nodes) - 1)
    share = (x - nodes[n - 1]) / (nodes[n] - nodes[n - 1])
    return [(n - 1, 1.0 - share), (n, share)]


def _entries(kind: Kind, lines: float) -> list[tuple[int, float]]:
    """(entry, weight) of the entries that stand for pieces of so many lines."""
    places = _PLACES[kind]
    if len(places) == 1 or lines <= places[0][1]:
        return [(places[0][0], 1.0)]
    if lines >= places[-1][1]:
        return [(places[-1][0], 1.0)]
    n = bisect_right([count for _, count in places], lines)
    (low, fewer), (high, more) = places[n - 1], places[n]
    share = (1.0 / fewer - 1.0 / lines) / (1.0 / fewer - 1.0 / more)
    return [(low, 1.0 - share), (high, share)]

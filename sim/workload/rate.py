"""A rate that changes with time, and arrivals at it by a change of time.

    Λ(t) = ∫_0^t λ(x) dx,    t_i = Λ⁻¹(s_i),    s_i of a renewal process of rate 1

With exponential gaps s this is the Poisson process of rate λ(t), exactly; with gamma gaps the arrivals are
burstier by the same factor at every time of day. λ is piecewise linear, so Λ is piecewise quadratic and its
inverse a closed form: in a piece that begins with rate a and slope b,

    a·x + b·x²/2 = δ   →   x = 2δ / (a + √(a² + 2bδ))

Source: Cinlar, Introduction to Stochastic Processes, 1975 (inversion of the cumulative rate).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.workload.curves.daily import DAY, Points

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Surge:
    """From `start` to `end` (s of the run) the rate is `factor` times what it would be."""

    start: float
    end: float
    factor: float


@dataclass(frozen=True, slots=True)
class RateOverTime:
    """λ(t) from time 0 to a horizon, in pieces.

    Attributes:
        edges: s, one more than pieces; first, last: rate (1/s) at the ends of each piece.
        total: Λ at the edges.
    """

    edges: Floats
    first: Floats
    last: Floats
    total: Floats

    def times(self, expected: Floats) -> Floats:
        """Λ⁻¹ of ascending values between 0 and Λ(horizon)."""
        piece = np.searchsorted(self.total, expected, side="right") - 1
        piece = np.minimum(piece, len(self.first) - 1)
        rest = expected - self.total[piece]
        rate = self.first[piece]
        slope = (self.last[piece] - rate) / np.diff(self.edges)[piece]
        root = np.sqrt(np.maximum(rate * rate + 2 * slope * rest, 0.0))
        step = np.divide(2 * rest, rate + root, out=np.zeros_like(rest), where=rest > 0)
        return np.minimum(self.edges[piece] + step, self.edges[piece + 1])


def daily_rate(
    mean: float, curve: Points, *, day: float, start: float, horizon: float, surges: Sequence[Surge]
) -> RateOverTime:
    """The rate of a run over `horizon` seconds.

    Args:
        mean: requests/s over a day without surges; curve: times of day and factors, on a day of 86,400 s.
        day: s of the run that a day of the curve takes; start: time of day (s) at the run's begin.
    """
    times, factors = curve
    scale = day / DAY
    days = np.arange(-1, int(horizon / day) + 3)
    knots = (days[:, None] * day + (times - start) * scale).ravel()
    inside = knots[(knots > 0) & (knots < horizon)]
    cuts = [t for surge in surges for t in (surge.start, surge.end) if 0 < t < horizon]
    edges = np.unique(np.concatenate([[0.0, horizon], inside, np.array(cuts)]))
    level = mean * np.interp(edges, knots, np.tile(factors, len(days)))
    boost = np.ones(len(edges) - 1)
    for surge in surges:
        start, end = np.searchsorted(edges, (surge.start, surge.end))
        boost[start:end] *= surge.factor
    first, last = level[:-1] * boost, level[1:] * boost
    total = np.concatenate([[0.0], np.cumsum((first + last) / 2 * np.diff(edges))])
    return RateOverTime(edges, first, last, total)

"""A fleet of equal replicas for a load, and how sure its figures are.

Each replica sees its share of the load as a process of its own, as behind a router that picks at random; a
router that looks at the replicas does no worse. Figures of a fleet are means over replications with
different seeds, with the interval mean ± t(97.5 %, r − 1) · s / √r.
"""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sim.planning.plan.trial import Trial, measured

_T = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
"""97.5 % quantiles of Student's t for 1 … 30 degrees of freedom; 1.96 beyond."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its 95 % confidence interval over replications."""

    mean: float
    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Whether the interval contains the value."""
        return self.low <= value <= self.high


def interval(values: Sequence[float]) -> Interval:
    """The mean of the values and its 95 % confidence interval; without width for a single value."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return Interval(mean, mean, mean)
    quantile = _T[len(values) - 2] if len(values) - 2 < len(_T) else 1.96
    half = quantile * statistics.stdev(values) / math.sqrt(len(values))
    return Interval(mean, mean - half, mean + half)


def over(trials: Sequence[Trial], of: Callable[[Trial], float | None]) -> Interval | None:
    """The interval of a figure over trials; None where any lacks it."""
    values = [of(trial) for trial in trials]
    known = [value for value in values if value is not None]
    return interval(known) if len(known) == len(values) and known else None


def field(name: str) -> Callable[[Trial], float | None]:
    """A field of the record, over the steady part where there is one."""
    return lambda trial: measured(trial.record, name)


@dataclass(frozen=True, slots=True)
class NodeLoss:
    """Servers down: replicas left, whether they carry the load, and the spare servers that would help."""

    replicas_left: int
    survives: bool
    spare_servers: int


def node_loss(rate: float, knee: float, replicas: int, chips: int, server: int, down: int = 1) -> NodeLoss:
    """What becomes of a fleet when `down` servers are, each with the replicas on it.

    A spare server takes the place of one that is down, so that as many as are down always suffice.

    Args:
        rate: of the fleet; knee: of a replica, requests/s; chips: of a replica; server: chips of a server.
    """
    beside = max(1, server // chips)
    left = replicas - min(down * beside, replicas)
    missing = max(0, math.ceil(rate / knee - 1e-9) - left)
    return NodeLoss(left, not missing, math.ceil(missing / beside))

"""The clock at which a deployment's chips keep to their power limit, and the run at that clock.

    busy power = overhead + idle + J of the operators per busy second  ≤  limit
    limit      = the cluster's `power_cap`; without one, design power + overhead

A governor holds the mean over seconds, many steps; so one clock is sought for the whole run, the highest at
which the mean of busy time keeps the limit. A run within its limit at full clock, as nearly all are, costs
nothing more.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from sim.errors import UserError
from sim.hardware.cluster import Cluster
from sim.hardware.throttle import LEAST_CLOCK
from sim.units import POWER, show

Run = TypeVar("Run")
_TOLERANCE = 0.005
"""Of the clock."""


@dataclass(frozen=True, slots=True)
class Clocked(Generic[Run]):
    """A run at the clock that its power limit allows, as a share of the full clock."""

    run: Run
    clock: float


def power_limit(cluster: Cluster) -> float:
    """W that a chip with its share of the box may draw."""
    return cluster.power_cap or cluster.chip.power.tdp + cluster.overhead_power


def within_limit(
    cluster: Cluster, run_at: Callable[[float], Run], power: Callable[[Run], float]
) -> Clocked[Run]:
    """The run at the highest clock that keeps the limit.

    Args:
        run_at: runs at a share of the clock; power: a run's busy power, W.
    Raises:
        UserError: for a limit that not even the least clock keeps.
    """
    limit = power_limit(cluster)
    full = run_at(1.0)
    if power(full) <= limit:
        return Clocked(full, 1.0)
    low, high = LEAST_CLOCK, 1.0
    kept = run_at(low)
    if power(kept) > limit:
        raise UserError(
            f"cluster.power_cap: {show(limit, POWER)} a chip cannot be kept: at {LEAST_CLOCK:g} of the clock "
            f"it draws {show(round(power(kept), 1), POWER)} while it is busy"
        )
    while high - low > _TOLERANCE:
        clock = 0.5 * (low + high)
        tried = run_at(clock)
        if power(tried) <= limit:
            low, kept = clock, tried
        else:
            high = clock
    return Clocked(kept, low)

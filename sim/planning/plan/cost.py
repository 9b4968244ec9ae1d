"""What a fleet of units costs: the bills of its pools, each on the chips of its candidate, added up."""

from collections.abc import Sequence
from functools import reduce

from sim.figures import Resolution
from sim.hardware.cluster import Cluster
from sim.planning.money import Bill, Ownership, Rental, added, cluster_bill
from sim.planning.plan.unit import Unit


def fleet_bill(
    money: Rental | Ownership,
    unit: Unit,
    replicas: int,
    watts: float | None = None,
    resolution: Resolution | None = None,
    spares: Sequence[int] = (),
) -> Bill:
    """The bill of so many units.

    Args:
        watts: mean power of a chip and its share of the server, over all pools; None: at design power.
        resolution: resolves the figures of money; spares: servers beside those of each pool.
    """
    resolution = Resolution("money") if resolution is None else resolution
    beside = spares or [0] * len(unit.pools)
    bills = [
        cluster_bill(money, pool.cluster, replicas * pool.chips, watts, resolution, spare)
        for pool, spare in zip(unit.pools, beside, strict=True)
    ]
    return reduce(added, bills)


def chip_hour(money: Rental | Ownership, cluster: Cluster) -> float:
    """USD per hour of a chip at design power, where servers are full."""
    full = cluster_bill(money, cluster, cluster.server, None, Resolution("money"))
    return full.usd_per_hour / cluster.server

"""What a fleet of units costs: the bills of its pools, each on the chips of its candidate, added up."""

from collections.abc import Sequence
from functools import reduce

from sim.figures import Resolution
from sim.hardware.cluster import Cluster
from sim.planning.money import Bill, Ownership, Rental, bill
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
    bills = [
        bill(
            money,
            pool.cluster.chip,
            replicas * pool.chips,
            pool.cluster.server,
            _busy(pool.cluster) if watts is None else watts,
            pool.cluster.chip.power.idle + pool.cluster.overhead_power,
            resolution,
            spare,
        )
        for pool, spare in zip(unit.pools, spares or [0] * len(unit.pools), strict=True)
    ]
    return reduce(_added, bills)


def chip_hour(money: Rental | Ownership, cluster: Cluster) -> float:
    """USD per hour of a chip at design power, where servers are full."""
    idle, watts = cluster.chip.power.idle + cluster.overhead_power, _busy(cluster)
    full = bill(money, cluster.chip, cluster.server, cluster.server, watts, idle, Resolution("money"))
    return full.usd_per_hour / cluster.server


def _busy(cluster: Cluster) -> float:
    return cluster.chip.power.tdp + cluster.overhead_power


def _added(a: Bill, b: Bill) -> Bill:
    parts = {cause: a.parts.get(cause, 0.0) + b.parts.get(cause, 0.0) for cause in {**a.parts, **b.parts}}
    return Bill(a.usd_per_hour + b.usd_per_hour, parts, a.watts + b.watts, a.racks + b.racks, a.krw_per_usd)

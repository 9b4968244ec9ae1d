"""Which links a group of consecutive chips uses: the tiers it spans, innermost first."""

from dataclasses import dataclass

from sim.hardware.cluster import Cluster, Tier


@dataclass(frozen=True, slots=True)
class Level:
    """One tier of a group: `units` sub-groups of `unit` chips each exchange data over `tier`.

    `bandwidth` is B/s per chip and direction with what others take subtracted; `peer` the same between
    one pair of chips (a full mesh gives a pair only its own link).
    """

    tier: Tier
    units: int
    unit: int
    bandwidth: float
    peer: float


def levels(cluster: Cluster, ranks: int, link_taken: float = 0.0) -> tuple[Level, ...]:
    """The tiers that `ranks` consecutive chips span.

    Raises:
        ValueError: if the group is larger than the cluster.
    """
    if ranks > cluster.tiers[-1].domain:
        raise ValueError(
            f"a group of {ranks} chips does not fit {cluster.name} ({cluster.tiers[-1].domain} chips)"
        )
    spanned: list[Level] = []
    unit = 1
    for tier in cluster.tiers:
        units = -(-min(ranks, tier.domain) // unit)
        if units > 1:
            spanned.append(_level(tier, units, unit, link_taken))
        unit = tier.domain
        if ranks <= tier.domain:
            break
    return tuple(spanned)


def between(cluster: Cluster, source: int, target: int, link_taken: float = 0.0) -> Level:
    """The innermost tier that joins two chips."""
    unit = 1
    for tier in cluster.tiers:
        if source // tier.domain == target // tier.domain:
            return _level(tier, 2, unit, link_taken)
        unit = tier.domain
    raise ValueError(f"chips {source} and {target} are not both in {cluster.name}")


def _level(tier: Tier, units: int, unit: int, link_taken: float) -> Level:
    bandwidth = tier.bandwidth * (1.0 - link_taken)
    shares = tier.domain - 1 if tier.topology == "mesh" and tier.domain > 1 else 1
    return Level(tier, units, unit, bandwidth, bandwidth / shares)

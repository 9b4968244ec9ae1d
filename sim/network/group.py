"""Which links a group of consecutive chips uses: the tiers it spans, innermost first.

When all chips of a level send at once each has
    bandwidth / (chips that share a link · oversubscription)          one pair alone has its path's bandwidth:
    all of it through a switch, 1/(chips − 1) of it in a full mesh, one of the 2·dimensions links of a torus
"""

from dataclasses import dataclass, replace
from math import prod

from sim.hardware.cluster import Cluster, Tier

_RINGS = ("ring", "torus")


@dataclass(frozen=True, slots=True)
class Level:
    """One tier of a group: `units` sub-groups of `unit` chips each exchange data over `tier`.

    Attributes:
        bandwidth: B/s per chip and direction when all send at once, what others take subtracted.
        peer: the same between one pair of chips while the others are silent.
        detour: links a byte crosses on its way to an average other chip, 1 but for rings and tori.
        distance: the most links between two chips.
        copy: B/s at which a chip copies its own share of a message.
    """

    tier: Tier
    units: int
    unit: int
    bandwidth: float
    peer: float
    detour: float
    distance: int
    copy: float


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
            spanned.append(_level(cluster, tier, units, unit, link_taken))
        unit = tier.domain
        if ranks <= tier.domain:
            break
    return tuple(spanned)


def every(cluster: Cluster, stride: int) -> Cluster:
    """The cluster of every `stride`-th chip: a group of chips so far apart is consecutive there."""
    if stride == 1:
        return cluster
    tiers = tuple(replace(tier, domain=max(1, tier.domain // stride)) for tier in cluster.tiers)
    return replace(cluster, tiers=tiers)


def between(cluster: Cluster, source: int, target: int, link_taken: float = 0.0) -> Level:
    """The innermost tier that joins two chips.

    Raises:
        ValueError: if one of them is outside the cluster.
    """
    unit = 1
    for tier in cluster.tiers:
        if source // tier.domain == target // tier.domain:
            return _level(cluster, tier, tier.domain // unit, unit, link_taken)
        unit = tier.domain
    raise ValueError(f"chips {source} and {target} are not both in {cluster.name}")


def ring_sizes(tier: Tier, units: int) -> tuple[int, ...]:
    """Chips along each dimension of a ring or torus: the tier's own where it is used whole, else as even as
    possible."""
    if tier.topology == "ring":
        return (units,)
    if prod(tier.dimensions) == units:
        return tier.dimensions
    dimensions = max(len(tier.dimensions), 2)
    sizes: list[int] = []
    left = units
    for remaining in range(dimensions, 0, -1):
        size = next(k for k in range(max(round(left ** (1 / remaining)), 1), 0, -1) if left % k == 0)
        sizes.append(size)
        left //= size
    return tuple(sorted(sizes))


def _level(cluster: Cluster, tier: Tier, units: int, unit: int, link_taken: float) -> Level:
    alone = tier.bandwidth * (1.0 - link_taken)
    peer, detour, distance = alone, 1.0, 1
    if tier.topology == "mesh":
        peer = alone / max(tier.domain // unit - 1, 1)
        alone = peer * (units - 1)  # links to chips outside the group lie idle
    elif tier.topology in _RINGS:
        sizes = ring_sizes(tier, units)
        peer = alone / (2 * max(sum(size > 1 for size in sizes), 1))
        # Σ over all chips of the shortest way round each ring, over the n − 1 others
        detour = max(sum((size * size // 4) / size for size in sizes) * units / max(units - 1, 1), 1.0)
        distance = max(sum(size // 2 for size in sizes), 1)
    return Level(
        tier,
        units,
        unit,
        bandwidth=alone / (tier.shared * tier.oversubscription),
        peer=peer,
        detour=detour,
        distance=distance,
        copy=tier.copy_share * cluster.chip.memory.bandwidth / 2,
    )

"""The links of a cluster as flows see them, and which of them a transfer or a collective takes.

Capacities are achievable ones, efficiency · bandwidth per direction:
  switch, pcie, clos   a port out and one in per link, shared by the tier's `shared` chips; where the tier is
                       oversubscribed also a trunk out and one in per unit: chips·bandwidth/oversubscription
  mesh                 a link for each ordered pair: bandwidth/(units − 1)
  ring, torus          a link to either neighbour in each dimension: bandwidth/(2·dimensions)
Traffic of a tier that is behind another takes that one's ports too. Each chip has a link from and to host
memory; on a PCIe tree that is the port it uses among its peers as well.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from sim.hardware.cluster import Cluster, Tier
from sim.network.fair_share import Uses
from sim.network.group import ring_sizes

HOST = "host"
"""Host memory as one end of a route."""


@dataclass(frozen=True, slots=True)
class _Placed:
    """A tier with what lies inside it."""

    tier: Tier
    unit: int

    @property
    def units(self) -> int:
        return self.tier.domain // self.unit


class Wiring:
    """Every link of a cluster, numbered.

    Attributes:
        names: of the links by number; capacity: their B/s.
    """

    def __init__(self, cluster: Cluster) -> None:
        self.names: list[str] = []
        self.capacity: list[float] = []
        self._number: dict[str, int] = {}
        self._cluster = cluster
        inner = [1, *(tier.domain for tier in cluster.tiers[:-1])]
        self._tiers = [_Placed(tier, unit) for tier, unit in zip(cluster.tiers, inner, strict=True)]
        for placed in self._tiers:
            for name, capacity in _links(placed, cluster.chips):
                self._add(name, capacity)
        self._host_port = cluster.tiers[0].topology == "pcie" and cluster.tiers[0].domain > 1
        if not self._host_port:
            for chip in range(cluster.chips):
                for way in ("out", "in"):
                    self._add(f"{HOST}.{way}.{chip}", cluster.host_bandwidth)

    def route(self, source: int | str, target: int | str) -> Uses:
        """Links from one chip, or "host", to another.

        Raises:
            ValueError: for a chip outside the cluster, or if both ends are the same or the host.
        """
        for end in (source, target):
            if end != HOST and not (isinstance(end, int) and 0 <= end < self._cluster.chips):
                raise ValueError(
                    f"'{end}' is neither {HOST} nor one of the chips 0 … {self._cluster.chips - 1}"
                )
        if source == target:
            raise ValueError(f"'{source}' and '{target}' are the same")
        if isinstance(source, int) and isinstance(target, int):
            placed = next(p for p in self._tiers if source // p.tier.domain == target // p.tier.domain)
            return self._between(placed, source, target)
        way, chip = ("in", target) if source == HOST else ("out", source)
        tier = self._cluster.tiers[0]
        port = f"{tier.name}.{way}.{int(chip) // tier.shared}" if self._host_port else f"{HOST}.{way}.{chip}"
        return {self._number[port]: 1.0}

    def collective(self, tier_name: str, ranks: int) -> Uses:
        """Links that `ranks` chips of a collective take on a tier, per byte that each of them sends."""
        placed = next(p for p in self._tiers if p.tier.name == tier_name)
        tier = placed.tier
        twice = 2.0 if tier.through_host else 1.0
        uses: dict[int, float] = {}
        for chip in range(ranks):
            if tier.topology == "mesh":
                peers = [c for c in _peers(placed, chip) if c < ranks]
                for peer in peers:
                    self._take(uses, f"{tier.name}.{chip}>{peer}", 1 / len(peers))
            elif tier.topology in ("ring", "torus"):
                ends = list(_neighbours(placed, chip))
                for _, name in ends:
                    self._take(uses, name, 1 / len(ends))
            else:
                for name in [*self._ports(placed, chip, "out"), *self._ports(placed, chip, "in")]:
                    self._take(uses, name, twice)
        return uses

    def _between(self, placed: _Placed, source: int, target: int) -> Uses:
        uses: dict[int, float] = {}
        tier = placed.tier
        if tier.topology == "mesh":
            peer = next(c for c in _peers(placed, source) if c // placed.unit == target // placed.unit)
            self._take(uses, f"{tier.name}.{source}>{peer}", 1.0)
        elif tier.topology in ("ring", "torus"):
            at = source
            while at // placed.unit != target // placed.unit:
                at, name = min(_neighbours(placed, at), key=lambda end: _distance(placed, end[0], target))
                self._take(uses, name, 1.0)
        else:
            twice = 2.0 if tier.through_host else 1.0
            for name in [*self._ports(placed, source, "out"), *self._ports(placed, target, "in")]:
                self._take(uses, name, twice)
        return uses

    def _ports(self, placed: _Placed, chip: int, way: str) -> Iterator[str]:
        tier = placed.tier
        yield f"{tier.name}.{way}.{chip // tier.shared}"
        if tier.oversubscription > 1:
            yield f"{tier.name}.trunk.{way}.{chip // placed.unit}"
        for outer in self._tiers:
            if outer.tier.name == tier.behind:
                yield from self._ports(outer, chip, way)

    def _take(self, uses: dict[int, float], name: str, share: float) -> None:
        number = self._number[name]
        uses[number] = uses.get(number, 0.0) + share

    def _add(self, name: str, capacity: float) -> None:
        self._number[name] = len(self.names)
        self.names.append(name)
        self.capacity.append(capacity)


def _links(placed: _Placed, chips: int) -> Iterator[tuple[str, float]]:
    tier = placed.tier
    achievable = tier.efficiency * tier.bandwidth
    if tier.domain == placed.unit:
        return
    if tier.topology == "mesh":
        for chip in range(chips):
            for peer in _peers(placed, chip):
                yield f"{tier.name}.{chip}>{peer}", achievable / (placed.units - 1)
    elif tier.topology in ("ring", "torus"):
        for chip in range(chips):
            ends = [name for _, name in _neighbours(placed, chip)]
            for name in ends:
                yield name, achievable / len(ends)
    else:
        for way in ("out", "in"):
            for port in range(-(-chips // tier.shared)):
                yield f"{tier.name}.{way}.{port}", achievable
            if tier.oversubscription > 1:
                for unit in range(chips // placed.unit):
                    trunk = placed.unit / tier.shared / tier.oversubscription
                    yield f"{tier.name}.trunk.{way}.{unit}", achievable * trunk


def _peers(placed: _Placed, chip: int) -> Iterator[int]:
    """The same place in each other unit of the domain."""
    first = chip - chip % placed.tier.domain
    for unit in range(placed.units):
        peer = first + unit * placed.unit + chip % placed.unit
        if peer != chip:
            yield peer


def _neighbours(placed: _Placed, chip: int) -> Iterator[tuple[int, str]]:
    """The neighbour on each link of a ring or torus, and the link's name."""
    first, at = chip - chip % placed.tier.domain, (chip % placed.tier.domain) // placed.unit
    sizes = ring_sizes(placed.tier, placed.units)
    for dimension, size in enumerate(sizes):
        stride = prod(sizes[:dimension])
        here = at // stride % size
        for way in (1, -1)[: max(size - 1, 0)]:
            there = at + ((here + way) % size - here) * stride
            neighbour = first + there * placed.unit + chip % placed.unit
            yield neighbour, f"{placed.tier.name}.{dimension}{'+' if way > 0 else '-'}.{chip}"


def _distance(placed: _Placed, chip: int, target: int) -> int:
    """Links between two chips, the shorter way round each dimension."""
    sizes = ring_sizes(placed.tier, placed.units)
    one, other = ((c % placed.tier.domain) // placed.unit for c in (chip, target))
    total = 0
    for dimension, size in enumerate(sizes):
        stride = prod(sizes[:dimension])
        apart = abs(one // stride % size - other // stride % size)
        total += min(apart, size - apart)
    return total

"""How long a collective takes: the fastest of the algorithms its links allow.

S bytes of logical message, n ranks, V = S(n−1)/n, L bandwidth, η efficiency, a0 launch, a1 hop:
  pipelined(l, t) = a0 + l + t + k·√(l·t)    latency l, transfer t; the root is what optimal chunks leave
  ring all-reduce             pipelined(2(n−1)·a1, 2V/(ηL))
  halving-doubling            pipelined(2·log2(n)·α, 2V/(ηL'))    α one message; L' between a pair
  in-network reduction        pipelined(2(n−1)·a1, S/R)           R what the switch reduces per chip
  one-shot (low latency)      b0 + (n−1)·b1 + (n−1)·S/(η1·ηL)     every chip reads all others
  two-shot (low latency)      2·b0 + (n−1)·b1 + 2V/(ηL)
  all-gather, reduce-scatter  pipelined((n−1)·a1, V/(ηL))
  through host memory         every byte crosses the chip's link twice and each step starts two copies
Over several tiers: reduce-scatter from the innermost outwards, all-reduce of the shrunken message on the
outermost, all-gather back.

k is the tier's `ramp`, b1/b0 its `peer_share`, η1 its `one_shot_share`.

Sources: ring and tree costs after Thakur, Rabenseifner and Gropp (2005); the figures are the fabric's
(hardware_profiles/fabrics), from measured NCCL and low-latency kernels (docs/operators.md).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from sim.hardware.cluster import Cluster
from sim.network.group import Level, between, levels
from sim.operators.quantities import Array


@dataclass(frozen=True, slots=True)
class LinkTime:
    """Time of a communication by cause (s, arrays over cases), the bytes each chip sends, the algorithm.

    `levels` is the same latency and transfer by the tier that takes it: it adds up to both.
    """

    launch: Array
    latency: Array
    transfer: Array
    wire_bytes: Array
    algorithm: tuple[str, ...]
    levels: Mapping[str, Array] = field(default_factory=dict[str, Array])

    @property
    def total(self) -> Array:
        """Seconds."""
        return self.launch + self.latency + self.transfer


def all_reduce(cluster: Cluster, ranks: int, message: Array, link_taken: float = 0.0) -> LinkTime:
    """Every chip ends with the sum of all messages."""
    spanned = levels(cluster, ranks, link_taken)
    if not spanned:
        return _nothing(message)
    *inner, outer = spanned
    shrunk = message
    parts: list[LinkTime] = []
    for level in inner:
        parts.append(_scatter(level, shrunk))
        shrunk = shrunk / level.units
    middle = _all_reduce_on(outer, shrunk)
    return _chain([*parts, middle, *reversed(parts)])


def all_gather(cluster: Cluster, ranks: int, message: Array, link_taken: float = 0.0) -> LinkTime:
    """Every chip ends with the whole message, of which it held 1/ranks."""
    spanned = levels(cluster, ranks, link_taken)
    if not spanned:
        return _nothing(message)
    parts: list[LinkTime] = []
    total = message
    for level in spanned:
        total = total / level.units
    for level in reversed(spanned):
        total = total * level.units
        parts.append(_scatter(level, total))
    return _chain(parts)


def reduce_scatter(cluster: Cluster, ranks: int, message: Array, link_taken: float = 0.0) -> LinkTime:
    """Every chip ends with its 1/ranks of the sum: the all-gather run backwards."""
    return all_gather(cluster, ranks, message, link_taken)


def point_to_point(
    cluster: Cluster, source: int, target: int, message: Array, link_taken: float = 0.0
) -> LinkTime:
    """One chip sends to another: latency + bytes / (efficiency · bandwidth of the pair)."""
    level = between(cluster, source, target, link_taken)
    zero = np.zeros_like(message)
    copies = _crossings(level)
    transfer = copies * message / (level.tier.efficiency * level.peer)
    return _on(level, zero, zero + copies * level.tier.latency, transfer, message, "send")


def _all_reduce_on(level: Level, message: Array) -> LinkTime:
    n, tier = level.units, level.tier
    v = message * (n - 1) / n
    rate = tier.efficiency * level.bandwidth
    rounds = 2 * int(np.ceil(np.log2(n)))
    candidates = [
        _pipelined(level, "ring", 2 * (n - 1) * tier.hop, 2 * v / rate, 2 * v),
        _pipelined(
            level, "halving-doubling", rounds * tier.latency, 2 * v / (tier.efficiency * level.peer), 2 * v
        ),
    ]
    if tier.reduction > 0:
        reduced = message / (min(tier.reduction, tier.bandwidth) * level.bandwidth / tier.bandwidth)
        candidates.append(_pipelined(level, "in-network", 2 * (n - 1) * tier.hop, reduced, message))
    if tier.low_latency > 0 and level.unit == 1:
        b0, peers = tier.low_latency, (n - 1) * tier.low_latency * tier.peer_share
        everything = (n - 1) * message
        candidates += [
            _low_latency(level, "one-shot", b0, peers, everything / (tier.one_shot_share * rate), everything),
            _low_latency(level, "two-shot", 2 * b0, peers, 2 * v / rate, 2 * v),
        ]
    return fastest(candidates)


def _scatter(level: Level, message: Array) -> LinkTime:
    """All-gather or reduce-scatter of `message` on one level."""
    n, tier = level.units, level.tier
    v = message * (n - 1) / n
    return _pipelined(level, "ring", (n - 1) * tier.hop, v / (tier.efficiency * level.bandwidth), v)


def _pipelined(level: Level, name: str, latency: float, transfer: Array, sent: Array) -> LinkTime:
    copies = _crossings(level)
    latency, transfer = copies * latency, copies * transfer
    ramp = level.tier.ramp * np.sqrt(latency * transfer)
    return _on(level, np.full_like(sent, level.tier.launch), latency + ramp, transfer, sent, name)


def _low_latency(
    level: Level, name: str, launch: float, latency: float, transfer: Array, sent: Array
) -> LinkTime:
    copies = _crossings(level)
    fixed = np.full_like(transfer, launch)
    return _on(level, fixed, np.full_like(transfer, copies * latency), copies * transfer, sent, name)


def _on(level: Level, launch: Array, latency: Array, transfer: Array, sent: Array, name: str) -> LinkTime:
    """A communication that only one level takes part in."""
    return LinkTime(launch, latency, transfer, sent, (name,), {level.tier.name: latency + transfer})


def _crossings(level: Level) -> int:
    """How often a byte crosses a chip's link on its way: twice through host memory."""
    return 2 if level.tier.through_host else 1


def fastest(candidates: Sequence[LinkTime]) -> LinkTime:
    """Case by case the candidate with the smallest total."""
    best = np.argmin([c.total for c in candidates], axis=0)
    zero = np.zeros_like(candidates[0].total)

    def chosen(part: Callable[[LinkTime], Array]) -> Array:
        return np.choose(best, [part(c) for c in candidates])

    return LinkTime(
        chosen(lambda c: c.launch),
        chosen(lambda c: c.latency),
        chosen(lambda c: c.transfer),
        chosen(lambda c: c.wire_bytes),
        tuple(candidates[int(i)].algorithm[0] for i in best),
        {tier: chosen(lambda c, tier=tier: c.levels.get(tier, zero)) for tier in _tiers(candidates)},
    )


def _tiers(parts: Sequence[LinkTime]) -> list[str]:
    """Every tier that takes part, each once, in order of appearance."""
    return list(dict.fromkeys(tier for part in parts for tier in part.levels))


def _chain(parts: Sequence[LinkTime]) -> LinkTime:
    """Phases one after the other; only the first pays the launch, the others their latency."""
    if len(parts) == 1:
        return parts[0]
    cases = max(len(p.algorithm) for p in parts)
    names = tuple(
        " + ".join(p.algorithm[i if len(p.algorithm) > 1 else 0] for p in parts) for i in range(cases)
    )
    return LinkTime(
        sum((p.launch for p in parts[1:]), parts[0].launch),
        sum((p.latency for p in parts[1:]), parts[0].latency),
        sum((p.transfer for p in parts[1:]), parts[0].transfer),
        sum((p.wire_bytes for p in parts[1:]), parts[0].wire_bytes),
        names,
        {tier: np.sum([p.levels[tier] for p in parts if tier in p.levels], axis=0) for tier in _tiers(parts)},
    )


def _nothing(message: Array) -> LinkTime:
    zero = np.zeros_like(message)
    return LinkTime(zero, zero, zero, zero, ("none",))

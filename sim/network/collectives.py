"""How long a collective takes: the fastest of the algorithms its links allow.

S bytes of logical message, n ranks, V = S(n−1)/n, L bandwidth, η efficiency, a0 launch, a1 hop:
  pipelined(v, m) = a0 + m·a1 + v/(ηL) + k·√(m·a1·v/(ηL))    m steps; the root is what optimal chunks leave
  ring all-reduce             pipelined(2V, 2(n−1))
  halving-doubling            a0 + 2·log2(n)·α + 2V/(ηL')    α one message; L' between a pair
  in-network reduction        a0 + 2·a1 + S/R                R what the switch reduces per chip
  one-shot (low latency)      b0 + (n−1)·b1 + (n−1)·S/(0.8·ηL)    every chip reads all others
  two-shot (low latency)      2·b0 + (n−1)·b1 + 2V/(ηL)
  all-gather, reduce-scatter  pipelined(V, n−1);  direct (low latency) b0 + (n−1)·b1 + V/(ηL)
  through host memory         every byte crosses the chip's link twice and each step starts two copies
Over several tiers: reduce-scatter from the innermost outwards, all-reduce of the shrunken message on the
outermost, all-gather back.

Sources: ring and tree costs after Thakur, Rabenseifner and Gropp (2005); k, b1/b0 and the one-shot share
from measured NCCL and low-latency kernels (docs/operators.md).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.hardware.cluster import Cluster
from sim.network.group import Level, between, levels

Array = NDArray[np.float64]

RAMP = 1.4
"""k, the cost of filling a pipeline of optimally sized chunks."""
PEER_SHARE = 1 / 35
"""b1/b0: what each further peer adds to a low-latency kernel, as a share of its fixed time."""
ONE_SHOT_SHARE = 0.8
"""Share of a link's achievable bandwidth at which a chip reads all its peers at once."""


@dataclass(frozen=True, slots=True)
class LinkTime:
    """Time of a communication by cause (s, arrays over cases), the bytes each chip sends, the algorithm."""

    launch: Array
    latency: Array
    transfer: Array
    wire_bytes: Array
    algorithm: tuple[str, ...]

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
    return LinkTime(zero, zero + copies * level.tier.latency, transfer, message, ("send",))


def _all_reduce_on(level: Level, message: Array) -> LinkTime:
    n, tier = level.units, level.tier
    v = message * (n - 1) / n
    candidates = [_ring(level, "ring", 2 * v, 2 * (n - 1)), _halving_doubling(level, v)]
    if tier.reduction > 0:
        rate = min(tier.reduction, tier.bandwidth) * level.bandwidth / tier.bandwidth
        candidates.append(_linear(level, "in-network", tier.launch, 2 * tier.hop, message / rate, message))
    if tier.low_latency > 0 and level.unit == 1:
        b0, peers = tier.low_latency, (n - 1) * tier.low_latency * PEER_SHARE
        rate = tier.efficiency * level.bandwidth
        everything = (n - 1) * message
        candidates += [
            _linear(level, "one-shot", b0, peers, everything / (ONE_SHOT_SHARE * rate), everything),
            _linear(level, "two-shot", 2 * b0, peers, 2 * v / rate, 2 * v),
        ]
    return _fastest(candidates)


def _scatter(level: Level, message: Array) -> LinkTime:
    """All-gather or reduce-scatter of `message` on one level."""
    n, tier = level.units, level.tier
    v = message * (n - 1) / n
    candidates = [_ring(level, "ring", v, n - 1)]
    if tier.low_latency > 0 and level.unit == 1:
        peers = (n - 1) * tier.low_latency * PEER_SHARE
        transfer = v / (tier.efficiency * level.bandwidth)
        candidates.append(_linear(level, "direct", tier.low_latency, peers, transfer, v))
    return _fastest(candidates)


def _ring(level: Level, name: str, sent: Array, steps: int) -> LinkTime:
    tier, copies = level.tier, _crossings(level)
    transfer = copies * sent / (tier.efficiency * level.bandwidth)
    latency = copies * steps * tier.hop
    ramp = RAMP * np.sqrt(latency * transfer)
    return LinkTime(np.full_like(sent, tier.launch), latency + ramp, transfer, sent, (name,))


def _halving_doubling(level: Level, v: Array) -> LinkTime:
    rounds = 2 * int(np.ceil(np.log2(level.units)))
    copies = _crossings(level)
    latency = copies * rounds * level.tier.latency
    transfer = copies * 2 * v / (level.tier.efficiency * level.peer)
    return LinkTime(
        np.full_like(v, level.tier.launch), np.full_like(v, latency), transfer, 2 * v, ("halving-doubling",)
    )


def _linear(level: Level, name: str, launch: float, latency: float, transfer: Array, wire: Array) -> LinkTime:
    copies = _crossings(level)
    return LinkTime(
        np.full_like(transfer, launch),
        np.full_like(transfer, copies * latency),
        copies * transfer,
        wire,
        (name,),
    )


def _crossings(level: Level) -> int:
    """How often a byte crosses a chip's link on its way: twice through host memory."""
    return 2 if level.tier.through_host else 1


def _fastest(candidates: Sequence[LinkTime]) -> LinkTime:
    """Case by case the candidate with the smallest total."""
    best = np.argmin([c.total for c in candidates], axis=0)

    def chosen(part: Callable[[LinkTime], Array]) -> Array:
        return np.choose(best, [part(c) for c in candidates])

    return LinkTime(
        chosen(lambda c: c.launch),
        chosen(lambda c: c.latency),
        chosen(lambda c: c.transfer),
        chosen(lambda c: c.wire_bytes),
        tuple(candidates[int(i)].algorithm[0] for i in best),
    )


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
    )


def _nothing(message: Array) -> LinkTime:
    zero = np.zeros_like(message)
    return LinkTime(zero, zero, zero, zero, ("none",))

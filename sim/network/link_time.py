"""What a communication costs, by cause and by level, and how costs combine.

All times are in s and, like all bytes, arrays over cases.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from sim.network.group import Level
from sim.operators.quantities import Array


@dataclass(frozen=True, slots=True)
class LinkTime:
    """Time of a communication by cause, the bytes each chip sends, the algorithm.

    Attributes:
        launch: until the first byte moves; latency: of the steps, what filling their pipeline costs included;
            transfer: of the bytes.
        algorithm: its name, one for all cases or one per case.
        levels: latency and transfer by the tier that takes them: they add up to both.
        carried: bytes each chip sends over each tier.
    """

    launch: Array
    latency: Array
    transfer: Array
    algorithm: tuple[str, ...]
    levels: Mapping[str, Array]
    carried: Mapping[str, Array]

    @property
    def total(self) -> Array:
        """Seconds."""
        return self.launch + self.latency + self.transfer

    @property
    def wire_bytes(self) -> Array:
        """Bytes each chip sends over all tiers."""
        return sum(self.carried.values(), np.zeros_like(self.transfer))


def on_level(
    level: Level, name: str, launch: float | Array, latency: float | Array, transfer: Array, sent: Array
) -> LinkTime:
    """A communication that only one level takes part in.

    Through host memory each byte crosses the chip's link twice; latencies are stated for the whole way.
    """
    zero = np.zeros_like(transfer)
    waited, moved = zero + latency, transfer * (2 if level.tier.through_host else 1)
    tier = level.tier.name
    return LinkTime(zero + launch, waited, moved, (name,), {tier: waited + moved}, {tier: sent})


def nothing(message: Array) -> LinkTime:
    """A chip alone has nobody to talk to."""
    zero = np.zeros_like(message)
    return LinkTime(zero, zero, zero, ("none",), {}, {})


def fastest(candidates: Sequence[LinkTime]) -> LinkTime:
    """Case by case the candidate with the smallest total, the first of equals."""
    if len(candidates) == 1:
        return candidates[0]
    best = np.argmin([c.total for c in candidates], axis=0)
    zero = np.zeros_like(candidates[0].total)

    def chosen(part: Callable[[LinkTime], Array]) -> Array:
        return np.choose(best, [part(c) for c in candidates])

    tiers = _tiers(candidates)
    return LinkTime(
        chosen(lambda c: c.launch),
        chosen(lambda c: c.latency),
        chosen(lambda c: c.transfer),
        tuple(_name(candidates[int(i)], case) for case, i in enumerate(best)),
        {tier: chosen(lambda c, tier=tier: c.levels.get(tier, zero)) for tier in tiers},
        {tier: chosen(lambda c, tier=tier: c.carried.get(tier, zero)) for tier in tiers},
    )


def one_after_another(parts: Sequence[LinkTime]) -> LinkTime:
    """Phases in sequence, each with its launch; neighbours of one name are named once."""
    if len(parts) == 1:
        return parts[0]
    cases = max(len(part.algorithm) for part in parts)
    tiers = _tiers(parts)
    return LinkTime(
        np.sum([p.launch for p in parts], axis=0),
        np.sum([p.latency for p in parts], axis=0),
        np.sum([p.transfer for p in parts], axis=0),
        tuple(" + ".join(n for n, _ in groupby(_name(p, case) for p in parts)) for case in range(cases)),
        {tier: np.sum([p.levels[tier] for p in parts if tier in p.levels], axis=0) for tier in tiers},
        {tier: np.sum([p.carried[tier] for p in parts if tier in p.carried], axis=0) for tier in tiers},
    )


def side_by_side(name: str, parts: Sequence[LinkTime]) -> LinkTime:
    """Parts at once, on a tier each: the slowest of them counts, and each tier takes its part of the time."""
    if len(parts) == 1:
        return parts[0]
    launch = np.max([p.launch for p in parts], axis=0)
    latency = np.max([p.latency for p in parts], axis=0)
    transfer = np.max([p.transfer for p in parts], axis=0)
    alone = np.array([p.latency + p.transfer for p in parts])
    share = alone / np.maximum(alone.sum(axis=0), 1e-30)
    tiers = [next(iter(part.levels)) for part in parts]
    return LinkTime(
        launch,
        latency,
        transfer,
        (name,),
        {tier: part * (latency + transfer) for tier, part in zip(tiers, share, strict=True)},
        {tier: part.carried[tier] for tier, part in zip(tiers, parts, strict=True)},
    )


def _name(part: LinkTime, case: int) -> str:
    return part.algorithm[case if len(part.algorithm) > 1 else 0]


def _tiers(parts: Sequence[LinkTime]) -> list[str]:
    """Every tier that takes part, each once, in order of appearance."""
    return list(dict.fromkeys(tier for part in parts for tier in part.levels))

"""How long a collective takes: on each level the fastest of the algorithms that its fabric names.

Over several tiers, innermost first:
  all-reduce                   reduce-scatter inwards out, all-reduce of the shrunken message on the outermost
                               tier, all-gather back
  all-gather, reduce-scatter   level by level, each with the part of the message that its units hold
  broadcast                    from the outermost tier inwards
  all-to-all                   on all tiers at once; a chip sends 1/ranks of its message to every other

Each function gives time over an array of message sizes (B); it raises ValueError for a group larger than
the cluster. Their figures are the fabric's (hardware_profiles/fabrics); docs/network.md explains the model.
"""

from collections.abc import Sequence

import numpy as np

from sim.hardware.cluster import Cluster
from sim.network.algorithms import ALL_REDUCE, ALL_TO_ALL, BROADCAST, GATHER, Algorithm
from sim.network.group import Level, between, levels
from sim.network.link_time import LinkTime, fastest, nothing, on_level, one_after_another, side_by_side
from sim.network.stacks import FASTEST, Stack
from sim.operators.quantities import Array


def all_reduce(
    cluster: Cluster,
    ranks: int,
    message: Array,
    link_taken: float = 0.0,
    stack: Stack | None = FASTEST,
) -> LinkTime:
    """Every chip ends with the sum of all messages.

    Args:
        stack: whose low-latency kernels there are beside the library; None for the library alone.
    """
    parts = all_reduce_phases(levels(cluster, ranks, link_taken), message, stack)
    return one_after_another(parts) if parts else nothing(message)


def all_reduce_phases(spanned: Sequence[Level], message: Array, stack: Stack | None) -> list[LinkTime]:
    """One after another."""
    if not spanned:
        return []
    *inner, outer = spanned
    shrunk = message
    parts: list[LinkTime] = []
    for level in inner:
        parts.append(_library(GATHER, level, shrunk))
        shrunk = shrunk / level.units
    middle = _library(ALL_REDUCE, outer, shrunk)
    if stack is not None and outer.tier.low_latency > 0 and outer.unit == 1:
        middle = _with_kernels(outer, shrunk, stack, middle)
    return [*parts, middle, *reversed(parts)]


def all_gather(cluster: Cluster, ranks: int, message: Array, link_taken: float = 0.0) -> LinkTime:
    """Every chip ends with the whole message, of which it held 1/ranks."""
    parts = gather_phases(levels(cluster, ranks, link_taken), message)
    return one_after_another(parts) if parts else nothing(message)


def reduce_scatter(cluster: Cluster, ranks: int, message: Array, link_taken: float = 0.0) -> LinkTime:
    """Every chip ends with its 1/ranks of the sum: the all-gather run backwards."""
    parts = gather_phases(levels(cluster, ranks, link_taken), message)[::-1]
    return one_after_another(parts) if parts else nothing(message)


def gather_phases(spanned: Sequence[Level], message: Array) -> list[LinkTime]:
    """Of an all-gather, outermost first."""
    shares = np.cumprod([1, *(level.units for level in spanned)])[:-1]
    outwards = [
        _library(GATHER, level, message / share) for level, share in zip(spanned, shares, strict=True)
    ]
    return outwards[::-1]


def broadcast(cluster: Cluster, ranks: int, message: Array, link_taken: float = 0.0) -> LinkTime:
    """Every chip ends with one chip's message."""
    parts = broadcast_phases(levels(cluster, ranks, link_taken), message)
    return one_after_another(parts) if parts else nothing(message)


def broadcast_phases(spanned: Sequence[Level], message: Array) -> list[LinkTime]:
    """Outermost first."""
    return [_library(BROADCAST, level, message) for level in reversed(spanned)]


def all_to_all(cluster: Cluster, ranks: int, message: Array, link_taken: float = 0.0) -> LinkTime:
    """Every chip sends each other 1/ranks of its message."""
    parts = all_to_all_phases(levels(cluster, ranks, link_taken), message)
    return parts[0] if parts else nothing(message)


def all_to_all_phases(spanned: Sequence[Level], message: Array) -> list[LinkTime]:
    """One phase on all tiers: of n units of u chips each, pieces for (n−1)·u chips cross a level."""
    if not spanned:
        return []
    ranks = float(np.prod([level.units for level in spanned]))
    parts = [_library(ALL_TO_ALL, level, message * level.units * level.unit / ranks) for level in spanned]
    return [side_by_side(parts[-1].algorithm[0], parts)]


def point_to_point(
    cluster: Cluster, source: int, target: int, message: Array, link_taken: float = 0.0
) -> LinkTime:
    """One chip sends to another: latency + bytes / (efficiency · bandwidth of the pair)."""
    level = between(cluster, source, target, link_taken)
    return on_level(
        level, "send", 0.0, level.tier.latency, message / (level.tier.efficiency * level.peer), message
    )


def _library(algorithms: Sequence[Algorithm], level: Level, message: Array) -> LinkTime:
    """The fastest algorithm that the tier names, or of all if it names none of these."""
    named = [a for a in algorithms if a.name in level.tier.algorithms] or algorithms
    times = [time for a in named if (time := a.time(level, message)) is not None]
    return fastest(times)


def _with_kernels(level: Level, message: Array, stack: Stack, library: LinkTime) -> LinkTime:
    """Kernels where the message respects their limit, the library elsewhere."""
    times: list[LinkTime] = []
    for kernel, limit in stack.kernels:
        time = kernel.time(level, message, stack.surcharge)
        if time is not None:
            times.append(_only(time, message < limit))
    taken = np.any([np.isfinite(time.launch) for time in times], axis=0)
    return fastest([*times, library if stack.library_too else _only(library, ~taken)])


def _only(time: LinkTime, where: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> LinkTime:
    """The same, never taken elsewhere."""
    launch = np.where(where, time.launch, np.inf)
    return LinkTime(launch, time.latency, time.transfer, time.algorithm, time.levels, time.carried)

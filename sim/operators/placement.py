"""Where experts and their replicas lie: slots of ranks.

Unbalanced, expert e lies in slot e and the first ranks hold one more where ranks do not divide the experts.
Balanced (after DeepSeek's EPLB, which vLLM, SGLang and TensorRT-LLM use):
  1. every redundant slot goes to the expert with most load per replica;
  2. slots are packed in order of their load, each into the least loaded rank that has room.
Where groups of experts divide evenly over servers, groups are packed onto servers first and both steps are
taken within each server, so that a token's experts stay in as few servers as its groups.
"""

import heapq
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.operators.quantities import Array
from sim.operators.routing import Routing

Slots = NDArray[np.int64]
"""Expert in each slot, by (rank, slot of the rank); -1 for none."""
EMPTY = -1


@dataclass(frozen=True, slots=True)
class Replicas:
    """A placement as it is used.

    Attributes:
        slots: expert by (rank, slot); copies: replicas of each expert; turn: which of its expert's replicas a
            slot holds, by (rank, slot).
    """

    slots: Slots
    copies: NDArray[np.int64]
    turn: Slots

    def loads(self, counts: Array) -> Array:
        """Tokens in every slot, (…, rank · slot), of tokens by expert, (…, expert): replicas of an expert
        share its tokens evenly, the first of them the remainder."""
        filled = self.slots >= 0
        expert = np.where(filled, self.slots, 0)
        whole, rest = np.divmod(counts[..., expert], self.copies[expert])
        taken = np.where(filled, whole + (self.turn < rest), 0.0)
        return taken.reshape(*counts.shape[:-1], -1)


def in_order(routing: Routing) -> Slots:
    """Expert e in slot e."""
    share, rest = divmod(routing.experts, routing.ep)
    slots = np.full((routing.ep, routing.per_rank), EMPTY)
    start = 0
    for rank in range(routing.ep):
        held = share + (rank < rest)
        slots[rank, :held] = np.arange(start, start + held)
        start += held
    return slots


def balanced(routing: Routing, load: Array) -> Slots:
    """Replicas by the load of each expert."""
    servers = routing.servers
    by_group = routing.groups > 1 and routing.groups % servers == 0 and routing.ep % servers == 0
    if servers == 1 or not by_group or routing.slots % servers:
        return _packed(np.arange(routing.experts), load, routing.slots, routing.ep, routing.per_rank)
    size = routing.experts // routing.groups
    of_groups = load.reshape(routing.groups, size).sum(axis=1)
    homes = _packed(np.arange(routing.groups), of_groups, routing.groups, servers, routing.groups // servers)
    parts: list[Slots] = []
    for home in homes:
        experts = (home[:, None] * size + np.arange(size)).ravel()
        parts.append(
            _packed(experts, load, routing.slots // servers, routing.ep // servers, routing.per_rank)
        )
    return np.concatenate(parts)


def replicas(routing: Routing, slots: Slots) -> Replicas:
    """The placement with the turns of each expert's replicas counted."""
    copies = np.zeros(routing.experts, np.int64)
    turn = np.zeros_like(slots)
    for place, expert in np.ndenumerate(slots):
        if expert >= 0:
            turn[place] = copies[expert]
            copies[expert] += 1
    return Replicas(slots, copies, turn)


def arrivals(before: Slots, after: Slots) -> int:
    """Experts that the busiest rank must fetch to go from one placement to another."""
    return max(
        len(set(new.tolist()) - set(old.tolist()) - {EMPTY}) for old, new in zip(before, after, strict=True)
    )


def _packed(items: Slots, load: Array, slots: int, bins: int, room: int) -> Slots:
    """`slots` copies of the items, every item at least once, in bins of `room`.

    Ties go to the earlier item and the lower bin.
    """
    copies = dict.fromkeys(items.tolist(), 1)
    heap = [(-float(load[i]), i) for i in copies]
    heapq.heapify(heap)
    for _ in range(slots - len(items)):
        _, item = heapq.heappop(heap)
        copies[item] += 1
        heapq.heappush(heap, (-float(load[item]) / copies[item], item))
    each = [(float(load[i]) / n, i) for i, n in copies.items() for _ in range(n)]
    each.sort(key=lambda entry: (-entry[0], entry[1]))
    packed = np.full((bins, room), EMPTY)
    filled, held = [0] * bins, [(0.0, b) for b in range(bins)]
    for weight, item in each:
        total, b = heapq.heappop(held)
        packed[b, filled[b]] = item
        filled[b] += 1
        if filled[b] < room:
            heapq.heappush(held, (total + weight, b))
    return packed

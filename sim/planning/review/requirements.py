"""What a chip must have to meet a target: each resource alone, and the cheapest combination.

Every resource is tested on a geometric grid of strengths, the others as they are; the answer is the least
strength from which on every tested one meets (`inversion`). Where another resource takes over most of the
time on the way, the answer says from where on. Memory comes first: speeds of single steps presume the
capacity that holds the point, which is inverted by itself, and its cost is part of every combination.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sim.errors import UserError
from sim.planning.review.combination import cheapest
from sim.planning.review.inversion import grid, invert
from sim.planning.review.machine import Machine, machine
from sim.planning.review.point import Point
from sim.planning.review.resources import CAPACITY, RESOURCES, Resource, relative_cost
from sim.planning.review.target import Level, Target
from sim.planning.review.variant import Judge, Variant

ALONE: Mapping[Level, list[float]] = {"step": grid(0.25, 8.0, 8), "served": grid(0.5, 8.0, 4)}
"""Strengths that are tested, each resource alone; a served one costs a simulated run."""
TOGETHER: Mapping[Level, list[float]] = {"step": grid(1.0, 8.0, 4), "served": grid(1.0, 8.0, 2)}
"""Strengths of a combination."""
HOLDING = grid(0.125, 16.0, 32)
"""Capacities that are tested for holding the point."""
_NO_INFLUENCE = 1e-3
"""What moves a margin by less takes no part in a combination."""


@dataclass(frozen=True, slots=True)
class Alone:
    """One resource against one target, all others as they are.

    Attributes:
        strengths, variants: what was tested, ascending.
        least: place of the answer; None where the target is never met.
        interval: the strengths that meet are one run up to the strongest.
        takeover: place from which on another resource than this takes most of the time, where at first it
            was this one; None where that never happens.
    """

    resource: Resource
    strengths: Sequence[float]
    variants: tuple[Variant, ...]
    least: int | None
    interval: bool
    takeover: int | None

    @property
    def reach(self) -> float:
        """The most that more of the resource adds to the margin."""
        stronger = zip(self.strengths, self.variants, strict=True)
        margins = [variant.margin for strength, variant in stronger if strength >= 1.0]
        return max(margins) - margins[0] if math.isfinite(margins[0]) else math.inf

    @property
    def gives_way(self) -> bool:
        """Whether it takes most of the time now, and another does once there is more of it."""
        return self.takeover is not None and self.strengths[self.takeover] > 1.0


@dataclass(frozen=True, slots=True)
class Together:
    """The cheapest combination found, or, where none meets, the best.

    Attributes:
        strengths: those above 1; variant: what they come to; cost: in prices of the present chip.
    """

    strengths: Mapping[str, float]
    variant: Variant
    cost: float


@dataclass(frozen=True, slots=True)
class Requirement:
    """What one target takes.

    Attributes:
        machine: the machine that variants start from: the reviewed one, with capacity to hold the point.
        capacity: how much more that is, 1 where it holds the point as it is.
        now: the machine without anything stronger.
    """

    target: Target
    machine: Machine
    capacity: float
    now: Variant
    alone: tuple[Alone, ...]
    together: Together


def requirement(reviewed: Machine, point: Point, target: Target, capacity: float = 1.0) -> Requirement:
    """Inverts one target.

    Args:
        capacity: what memory is multiplied by beforehand, so that it holds the point.
    """
    base = machine(reviewed.scenario.changed(CAPACITY.sets(reviewed, capacity)))
    judge = Judge(base, point, target)
    strengths = ALONE[target.level]
    chosen = [r for r in RESOURCES if r is not CAPACITY or target.level == "served"]
    alone = tuple(_alone(judge, resource, strengths) for resource in chosen)
    return Requirement(target, base, capacity, judge.of({}), alone, _together(judge, capacity, alone))


def least_capacity(reviewed: Machine, point: Point) -> float | None:
    """The least tested strength of capacity from which on weights and the point's caches fit."""

    def fits(strength: float) -> bool:
        changed = machine(reviewed.scenario.changed(CAPACITY.sets(reviewed, strength)))
        return changed.largest_batch(point.context) >= point.batch

    least = invert([fits(strength) for strength in HOLDING]).least
    return None if least is None else HOLDING[least]


def check_price(reviewed: Machine, target: Target) -> None:
    """Refuses a target on money where nobody states the chip's purchase price.

    Raises:
        UserError: saying how to state it.
    """
    chip = reviewed.deployment.cluster.chip
    if chip.capex <= 0 and any(bound.metric.name == "usd/M tokens" for bound in target.bounds):
        raise UserError(
            f"--target '{target.text}': nobody states the purchase price of chip {chip.name}; "
            "--set cluster.chip.price.capex='20000 USD'"
        )


def _alone(judge: Judge, resource: Resource, strengths: Sequence[float]) -> Alone:
    variants = tuple(judge.of({resource.name: strength}) for strength in strengths)
    found = invert([variant.meets for variant in variants])
    own = [variant.bound in resource.causes for variant in variants]
    return Alone(resource, strengths, variants, found.least, found.interval, takeover(own))


def takeover(own: Sequence[bool]) -> int | None:
    """The place from which on a resource no longer takes most of the time, where before it did."""
    last = max((place for place, is_own in enumerate(own) if is_own), default=None)
    return None if last is None or last == len(own) - 1 else last + 1


def _together(judge: Judge, capacity: float, alone: Sequence[Alone]) -> Together:
    """The cheapest combination of the resources that have an influence."""
    strengths = TOGETHER[judge.target.level]
    grids = {a.resource.name: strengths for a in alone if a.reach > _NO_INFLUENCE}

    def cost(chosen: Mapping[str, float]) -> float:
        held = chosen.get(CAPACITY.name, 1.0) * capacity
        return relative_cost({**chosen, CAPACITY.name: held})

    found, _meets = cheapest(grids, cost, lambda chosen: judge.of(chosen).margin)
    raised = {name: strength for name, strength in found.items() if strength > 1.0}
    return Together(raised, judge.of(raised), cost(raised))

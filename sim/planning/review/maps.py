"""What binds where: decode steps over batch and context, and the largest batch that memory holds."""

from collections.abc import Mapping
from dataclasses import dataclass

from sim.planning.review.machine import Machine, Phase
from sim.planning.review.point import Point
from sim.planning.review.resources import bound_named

BATCHES = tuple(2**k for k in range(10))
FIRST_CONTEXT = 1024


@dataclass(frozen=True, slots=True)
class Cell:
    """A decode step of `batch` sequences of `context` tokens; `fits` into memory or not."""

    batch: int
    context: int
    fits: bool
    tokens_per_s_per_user: float
    phase: Phase
    bound: str


@dataclass(frozen=True, slots=True)
class Maps:
    """Attributes:
    cells: over batch and context.
    by_batch: at the point's context; by_context: at its batch.
    largest: context → the most sequences of it that fit.
    """

    cells: tuple[Cell, ...]
    by_batch: tuple[Cell, ...]
    by_context: tuple[Cell, ...]
    largest: Mapping[int, int]


def maps(reviewed: Machine, point: Point) -> Maps:
    """All of them."""
    contexts = _contexts(reviewed)
    return Maps(
        cells=tuple(cell(reviewed, b, c) for c in contexts for b in BATCHES),
        by_batch=tuple(cell(reviewed, b, point.context) for b in BATCHES),
        by_context=tuple(cell(reviewed, point.batch, c) for c in contexts),
        largest={c: reviewed.largest_batch(c) for c in contexts},
    )


def cell(reviewed: Machine, batch: int, context: int) -> Cell:
    """One place of the map."""
    phase = reviewed.phase([reviewed.decode_step(batch, context)])
    speed = reviewed.timer.deployment.mean_yield / phase.seconds
    fits = batch <= reviewed.largest_batch(context)
    return Cell(batch, context, fits, speed, phase, bound_named(reviewed, phase.causes))


def _contexts(reviewed: Machine) -> list[int]:
    """Powers of two up to the model's context."""
    longest = max(FIRST_CONTEXT, reviewed.deployment.model.context)
    return [FIRST_CONTEXT << k for k in range((longest // FIRST_CONTEXT).bit_length())]

"""How sure the speeds are, and which assumption decides them, at the level of single steps.

Bands are P10, P50, P90 over a Latin hypercube of every figure that has a range and of the model's own error
by class of operators; influence is the tornado of `sim.planning.uncertainty`: the speed with one of them at
each end of its range, the others at their value.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sim.planning.review.machine import Machine, machine
from sim.planning.review.point import Point
from sim.planning.uncertainty.factors import Factor, draws, ranged
from sim.planning.uncertainty.sensitivity import Bar, Floats, tornado
from sim.planning.uncertainty.spread import Band, band

WEAK = ("unstated", "assumption", "estimate", "press")


@dataclass(frozen=True, slots=True)
class Influence:
    """A figure, or a group of figures that move together, and what its range does.

    Attributes:
        low, high: the figure's ends; basis, source: of the first of a group.
        per_user: tokens/s of a user at the two ends; prefill: seconds of a prompt, likewise.
        swing: the larger of the two, largest value over smallest.
    """

    name: str
    text: str
    basis: str
    source: str
    per_user: tuple[float, float]
    prefill: tuple[float, float]

    @property
    def swing(self) -> float:
        """How much the figure can move a speed."""
        return max(max(pair) / min(pair) for pair in (self.per_user, self.prefill))

    @property
    def weak(self) -> bool:
        """Whether nobody has measured or published it in a datasheet."""
        return self.basis in WEAK


@dataclass(frozen=True, slots=True)
class Sureness:
    """Attributes:
    samples: draws behind the bands.
    per_user, per_chip, prefill: tokens/s, tokens/s, s.
    influences: weak bases first, among each the strongest first.
    """

    samples: int
    per_user: Band
    per_chip: Band
    prefill: Band
    influences: tuple[Influence, ...]


def sureness(reviewed: Machine, point: Point, samples: int) -> Sureness:
    """Bands and influences of the reviewed machine's figures."""
    factors = ranged(_drawn(reviewed, {}).figures)
    names = [factor.name for factor in factors]
    seed = reviewed.scenario.spec.seed
    speeds = [
        _drawn(reviewed, dict(zip(names, row, strict=True))).speed(point)
        for row in draws(names, samples, seed).tolist()
    ]
    return Sureness(
        samples,
        band([speed.tokens_per_s_per_user for speed in speeds]),
        band([speed.tokens_per_s_per_chip for speed in speeds]),
        band([speed.prefill.seconds for speed in speeds]),
        _influences(reviewed, point, factors),
    )


def _influences(reviewed: Machine, point: Point, factors: Sequence[Factor]) -> tuple[Influence, ...]:
    def per_user(m: Machine) -> float:
        return m.timer.deployment.mean_yield / m.decode_step(point.batch, point.context).total

    def prefill(m: Machine) -> float:
        return sum(step.total for step in m.prefill_steps(point.prompt))

    users, prompts = (_bars(reviewed, factors, what) for what in (per_user, prefill))
    found = [_influence(factor, users[factor.name], prompts[factor.name]) for factor in factors]
    return tuple(sorted(found, key=lambda i: (not i.weak, -i.swing)))


def _influence(factor: Factor, user: Bar, prompt: Bar) -> Influence:
    figure = factor.figure
    assert figure is not None, "figures alone are varied here"
    basis, source = figure.basis, figure.source
    return Influence(
        factor.name, figure.text(), basis, source, (user.low, user.high), (prompt.low, prompt.high)
    )


def _bars(
    reviewed: Machine, factors: Sequence[Factor], what: Callable[[Machine], float]
) -> Mapping[str, Bar]:
    names = [factor.name for factor in factors]

    def model(u: Floats) -> Floats:
        drawn = [
            {name: place for name, place in zip(names, row, strict=True) if place == place}
            for row in u.tolist()
        ]
        return np.array([what(_drawn(reviewed, draw)) for draw in drawn])

    return {bar.factor: bar for bar in tornado(factors, model)[1]}


def _drawn(reviewed: Machine, draw: Mapping[str, float]) -> Machine:
    return machine(reviewed.scenario.drawn(draw))

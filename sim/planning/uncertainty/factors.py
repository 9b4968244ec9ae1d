"""What is uncertain about a scenario: its figures with a range, and whatever else a user says may vary.

A factor has one u in [0, 1]. Of a figure it is the quantile of the triangular distribution from low over
value to high (`Figure.quantile`); figures of one group share theirs. Of a varied path it is the place in its
range, of which every point is as likely as another.

Draws are a Latin hypercube. Each factor has a random stream of its own, named after it, so that a figure
that two candidates share is drawn alike for both, and one more factor changes no other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from sim.figures import Figure
from sim.planning.evaluate import Task
from sim.planning.identity import canonical
from sim.planning.latin_hypercube import latin_hypercube
from sim.planning.sweep.axes import Range
from sim.scenario.prepared import prepare
from sim.scenario.scenario import Scenario

MIDDLE = 0.5


@dataclass(frozen=True, slots=True)
class Factor:
    """One uncertain thing.

    Attributes:
        name: path or group; figure: where it is a figure (the first of its group).
        varied: where it is a path that a user varies.
    """

    name: str
    figure: Figure | None = None
    varied: Range | None = None

    def text(self, u: float) -> str:
        """What it is at u."""
        if self.figure is not None:
            return replace(self.figure, value=self.figure.quantile(u), low=None, high=None).text()
        return "" if self.varied is None else self.varied.at(u)


def factors(scenario: Scenario, vary: Mapping[str, Range] | None = None) -> tuple[Factor, ...]:
    """The factors of a scenario, in the order in which it meets them.

    Raises:
        UserError: for a scenario whose layout is impossible.
    """
    return (*ranged(prepare(scenario).figures), *(Factor(path, None, r) for path, r in (vary or {}).items()))


def ranged(figures: Mapping[str, Figure]) -> tuple[Factor, ...]:
    """Those of the figures that have a range, a group once."""
    found: dict[str, Factor] = {}
    for path, figure in figures.items():
        name = figure.group or path
        if figure.low is not None and figure.high is not None and figure.low < figure.high:
            found.setdefault(name, Factor(name, figure))
    return tuple(found.values())


def draws(names: Sequence[str], samples: int, seed: int) -> NDArray[np.float64]:
    """u of each factor (column) in each sample (row): a Latin hypercube."""
    columns = [
        latin_hypercube(samples, 1, np.random.default_rng([seed, crc32(name.encode())]))[:, 0]
        for name in names
    ]
    return np.stack(columns, axis=1) if columns else np.empty((samples, 0))


def task_at(scenario: Scenario, known: Sequence[Factor], u: Sequence[float], key: str) -> Task:
    """The run with each factor at its u; NaN leaves a factor at its value.

    Raises:
        UserError: where a varied path cannot take its value.
    """
    placed = [(factor, float(place)) for factor, place in zip(known, u, strict=True) if place == place]
    draw = {factor.name: place for factor, place in placed if factor.figure is not None}
    sets = [f"{f.name}={f.varied.at(place)}" for f, place in placed if f.varied is not None]
    changed = scenario.changed(sets)
    return Task(key, canonical(changed.tree), str(changed.base.resolve()), changed.name, draw)

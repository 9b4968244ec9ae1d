"""From a sweep's spec to its points: what each sets in the scenario, in a fixed order."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import prod

import numpy as np

from sim.errors import UserError
from sim.planning.latin_hypercube import latin_hypercube
from sim.planning.sweep.axes import as_text, grid_values, value_at
from sim.planning.sweep.schema import CASE, MOST_POINTS, SEED, LatinHypercube, SweepSpec

Labels = dict[str, str]


@dataclass(frozen=True, slots=True)
class Point:
    """One point: its place in the sweep, its coordinates by axis, and the overrides that make it."""

    position: int
    labels: Labels
    sets: tuple[str, ...]


def axis_names(spec: SweepSpec) -> tuple[str, ...]:
    """The axes in the order in which they vary, the last one fastest."""
    names = ([CASE] if spec.cases else []) + list(spec.axes)
    return (*names, *([SEED] if spec.replications > 1 else []))


def points(spec: SweepSpec, seed: int) -> Iterator[Point]:
    """The points in order: cases, then the design, then replications fastest.

    Args:
        seed: the scenario's, from which replications count.
    Raises:
        UserError: for more than `MOST_POINTS` points.
    """
    count = max(1, len(spec.cases)) * _combinations(spec) * spec.replications
    if count > MOST_POINTS:
        raise UserError(f"the sweep has {count:,} points; at most {MOST_POINTS:,} are taken")
    fixed = tuple(f"{path}={as_text(value)}" for path, value in spec.fixed.items())
    position = 0
    for case, combination in product([*spec.cases] or [""], list(_design(spec))):
        sets = spec.cases.get(case, {}) | combination
        for replication in range(spec.replications):
            labels = ({CASE: case} if spec.cases else {}) | combination
            overrides = [*fixed, *(f"{path}={as_text(value)}" for path, value in sets.items())]
            if spec.replications > 1:
                labels = labels | {SEED: str(seed + replication)}
                overrides.append(f"seed={seed + replication}")
            yield Point(position, labels, tuple(overrides))
            position += 1


def _combinations(spec: SweepSpec) -> int:
    if isinstance(spec.design, LatinHypercube):
        return spec.design.samples
    return prod(len(grid_values(axis)) for axis in spec.axes.values())


def _design(spec: SweepSpec) -> Iterator[Labels]:
    """Axis → value for each combination."""
    if isinstance(spec.design, LatinHypercube):
        rng = np.random.default_rng(spec.design.seed)
        for row in latin_hypercube(spec.design.samples, len(spec.axes), rng):
            yield {
                path: value_at(axis, float(u)) for (path, axis), u in zip(spec.axes.items(), row, strict=True)
            }
        return
    for combination in product(*(grid_values(axis) for axis in spec.axes.values())):
        yield dict(zip(spec.axes, combination, strict=True))

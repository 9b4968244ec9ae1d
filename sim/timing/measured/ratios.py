"""Measured over priced time, between and beyond the shapes that were measured.

    ratio(row) = measured/priced,     seconds(shape) = priced(shape) · ratio(shape)

A price that has the mechanism right leaves a ratio that changes slowly with the shape, so it is the ratio
that is interpolated, in logarithms (places of sim.timing.measured.shapes):
  along a series        ln ratio is linear in ln extent, and beyond its ends what it is there
  between series        ln ratio = Σ w_s · ln ratio_s / Σ w_s over the `NEAREST` series,  w_s = 1/d_s²,
                        d_s² = |Δ sizes|² + (ln extents between the shape and the series' nearer end)²
  outside all sizes     the sizes are moved to the border of what was measured first
Inverse distances (Shepard 1968) are exact where a shape was measured, need no grid, and never leave the range
of the ratios they weigh; so a price stays positive and within what was seen of the model's error.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from sim.operators.quantities import Array
from sim.timing.measured import PRICES
from sim.timing.measured.bench import Bench
from sim.timing.measured.rows import Places, Rows
from sim.timing.measured.shapes import extent, sizes

NEAREST = 4
"""Series that a shape between them is interpolated from."""
_SAME = 1e-9
"""Squared distance below which shapes are the same."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Ratio:
    """measured/priced of asked shapes, and which of them lie inside the measured range."""

    value: Array
    inside: Mask


@dataclass(slots=True)
class _Series:
    """Rows that differ in their extent only: ln extents, ascending, and (once asked for) ln ratios."""

    places: Places
    extents: Array
    ratios: Array | None = None

    def nearest(self, along: float) -> int:
        """The row whose ln extent is nearest."""
        return self.places.tolist()[int(np.abs(self.extents - along).argmin())]


@dataclass(frozen=True, slots=True)
class _Near:
    """The series that a shape is interpolated from, by (series, case), with their squared distances.

    Attributes:
        along: ln extents of the cases; inside: which lie inside the measured range: the sizes within those
            of all series, the extent between the ends of these.
    """

    along: Array
    series: Places
    distance: Array
    inside: Mask


@dataclass(slots=True)
class Ratios:
    """The ratios of one operator, type and stack on one chip.

    Attributes:
        rows: as measured; where several kernels measured the same shape, the fastest.
        bench: what prices them.
    """

    rows: Rows
    bench: Bench
    _series: list[_Series] = field(init=False)
    _sizes: Array = field(init=False)
    _ends: Array = field(init=False)

    def __post_init__(self) -> None:
        where, along = sizes(self.rows), extent(self.rows)
        self._sizes, which = np.unique(where.round(6), axis=0, return_inverse=True)
        order = np.lexsort((self.rows.numbers("latency_us"), along, which.ravel()))
        group, along = which.ravel()[order], along[order]
        first = np.ones(len(order), np.bool_)
        first[1:] = (np.diff(group) > 0) | (np.diff(along) > _SAME)
        order, group, along = order[first], group[first], along[first]
        cuts = np.flatnonzero(np.diff(group)) + 1
        self._series = [
            _Series(places, extents)
            for places, extents in zip(np.split(order, cuts), np.split(along, cuts), strict=True)
        ]
        self._ends = np.array([(s.extents[0], s.extents[-1]) for s in self._series])

    def price(self, rows: Rows) -> Array:
        """Seconds of rows by the model."""
        return PRICES[rows.table](rows, self.bench)

    def at(self, asked: Rows) -> Ratio:
        """The ratio at the shapes of `asked`."""
        value, inside = np.empty(asked.n), np.empty(asked.n, np.bool_)
        for cases, near in self._neighbours(asked):
            value[cases], inside[cases] = np.exp(self._blended(near)), near.inside
        return Ratio(value, inside)

    def like(self, asked: Rows) -> Rows:
        """The shapes of `asked` in the stack and by the kernel of the nearest row."""
        nearest: Places = np.empty(asked.n, np.intp)
        for cases, near in self._neighbours(asked):
            first = np.take_along_axis(near.series, near.distance.argmin(axis=0)[None], axis=0)
            series = [self._series[place] for place in first.ravel().tolist()]
            places = zip(series, near.along.tolist(), strict=True)
            nearest[cases] = [one.nearest(along) for one, along in places]
        names = {name: self.rows.columns[name][nearest] for name in ("framework", "kernel")}
        return replace(asked, columns={**asked.columns, **names})

    def _neighbours(self, asked: Rows) -> Iterator[tuple[Places, _Near]]:
        """The nearest series of cases that agree in all sizes but their extent."""
        where, along = sizes(asked).round(6), extent(asked)
        shapes, which = np.unique(where, axis=0, return_inverse=True)
        for i, shape in enumerate(shapes):
            cases = np.flatnonzero(which.ravel() == i)
            yield cases, self._near(shape, along[cases])

    def _near(self, shape: Array, along: Array) -> _Near:
        bordered = np.clip(shape, self._sizes.min(axis=0), self._sizes.max(axis=0))
        lows, highs = self._ends[:, :1], self._ends[:, 1:]
        gap = np.maximum(lows - along, along - highs).clip(min=0.0)
        apart = ((self._sizes - bordered) ** 2).sum(axis=1)[:, None] + gap**2
        count = min(NEAREST, len(self._series))
        series = np.argpartition(apart, count - 1, axis=0)[:count]
        distance = np.take_along_axis(apart, series, axis=0)
        between = (lows[series, 0].min(axis=0) <= along) & (along <= highs[series, 0].max(axis=0))
        return _Near(along, series, distance, between & bool(np.all(bordered == shape)))

    def _blended(self, near: _Near) -> Array:
        """ln ratio by case, from the series nearest to it."""
        logs = np.empty(near.series.shape)
        along = np.broadcast_to(near.along, logs.shape)
        for place in set[int](near.series.ravel().tolist()):
            at = near.series == place
            logs[at] = np.interp(along[at], *self._curve(self._series[place]))
        same = near.distance < _SAME
        weights = np.where(same.any(axis=0), same, 1.0 / np.maximum(near.distance, _SAME))
        return (weights * logs).sum(axis=0) / weights.sum(axis=0)

    def _curve(self, series: _Series) -> tuple[Array, Array]:
        if series.ratios is None:
            rows = self.rows.at(series.places)
            series.ratios = np.log(1e-6 * rows.numbers("latency_us") / self.price(rows))
        return series.extents, series.ratios

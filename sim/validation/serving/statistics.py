"""Errors of a cell of rows, with what they are worth: how many, a bootstrap interval, the spread of sites.

    error = (simulated − measured) / measured, in percent
    interval: 5 % to 95 % of the median |error| over resamples of the cell's cases, drawn with replacement
    site spread: (largest − smallest) / mean of a configuration that several sources measured, median, percent

A case with several metrics in a cell is drawn as one: its errors hang together.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import cast

import numpy as np

from sim.validation.serving.row import ServingRow

_RESAMPLES = 400
_SEED = 0


@dataclass(frozen=True, slots=True)
class Cell:
    """Statistics of |error| (percent) of the rows with these keys; `site_spread` is None where no
    configuration was measured twice."""

    keys: Mapping[str, str]
    n: int
    mape: float
    median_ape: float
    p90_ape: float
    bias: float
    interval: tuple[float, float]
    site_spread: float | None

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return {
            **self.keys,
            "n": self.n,
            "mape": self.mape,
            "median_ape": self.median_ape,
            "p90_ape": self.p90_ape,
            "bias": self.bias,
            "median_interval": list(self.interval),
            "site_spread": self.site_spread,
        }


def cells(rows: Iterable[ServingRow], names: Sequence[str]) -> tuple[Cell, ...]:
    """Cells by the keys of these names, the largest median error first."""
    groups: dict[tuple[str, ...], list[ServingRow]] = {}
    for row in rows:
        groups.setdefault(tuple(str(getattr(row, name)) for name in names), []).append(row)
    found = [cell(dict(zip(names, key, strict=True)), group) for key, group in groups.items()]
    return tuple(sorted(found, key=lambda c: -c.median_ape))


def cell(keys: Mapping[str, str], rows: Sequence[ServingRow]) -> Cell:
    """The statistics of at least one row."""
    error = np.array([row.error for row in rows])
    size = np.abs(error)
    return Cell(
        keys,
        len(rows),
        mape=float(size.mean()),
        median_ape=float(np.median(size)),
        p90_ape=float(np.quantile(size, 0.9)),
        bias=float(error.mean()),
        interval=_interval(rows),
        site_spread=_site_spread(rows),
    )


def _interval(rows: Sequence[ServingRow]) -> tuple[float, float]:
    by_case: dict[str, list[float]] = {}
    for row in rows:
        by_case.setdefault(row.id, []).append(abs(row.error))
    sizes = list(by_case.values())
    draws = np.random.default_rng(_SEED).integers(0, len(sizes), (_RESAMPLES, len(sizes)))
    medians = np.array(
        [
            median(error for i in draw for error in sizes[i])
            for draw in cast("list[list[int]]", draws.tolist())
        ]
    )
    low, high = np.quantile(medians, (0.05, 0.95))
    return float(low), float(high)


def _site_spread(rows: Sequence[ServingRow]) -> float | None:
    measured: dict[tuple[str, str], dict[str, float]] = {}
    for row in rows:
        measured.setdefault((row.configuration, row.metric), {})[row.source] = row.measured
    several = [np.array(list(values.values())) for values in measured.values() if len(values) > 1]
    if not several:
        return None
    return float(np.median([100 * (values.max() - values.min()) / values.mean() for values in several]))

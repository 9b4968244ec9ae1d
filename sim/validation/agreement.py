"""Errors of simulated against measured values, by group.

    error = (simulated − measured) / measured, in percent

mape is the mean of |error|, median_ape and p90_ape its quantiles, bias the mean of error.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.version import __version__


@dataclass(frozen=True, slots=True)
class Compared:
    """One value of one row of a reference; `keys` say which group it belongs to, `tolerance` is in
    percent."""

    id: str
    keys: Mapping[str, str]
    measured: float
    simulated: float
    tolerance: float

    @property
    def error(self) -> float:
        """Signed error, percent."""
        return 100.0 * (self.simulated - self.measured) / self.measured

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return {"id": self.id, **self.keys, "measured": self.measured, "simulated": self.simulated}


@dataclass(frozen=True, slots=True)
class Agreement:
    """Error statistics of a group, percent, and the share of its rows within their tolerance (NaN: none)."""

    keys: Mapping[str, str]
    n: int
    mape: float
    median_ape: float
    p90_ape: float
    bias: float
    within: float

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return {
            **self.keys,
            "n": self.n,
            "mape": self.mape,
            "median_ape": self.median_ape,
            "p90_ape": self.p90_ape,
            "bias": self.bias,
            "within": self.within,
        }


def agreement(rows: Iterable[Compared], names: Iterable[str]) -> tuple[Agreement, ...]:
    """The rows' agreement by the keys of these names, the largest mean error first."""
    groups: dict[tuple[str, ...], list[Compared]] = {}
    names = tuple(names)
    for row in rows:
        groups.setdefault(tuple(row.keys[name] for name in names), []).append(row)
    found = [_statistics(dict(zip(names, key, strict=True)), group) for key, group in groups.items()]
    return tuple(sorted(found, key=lambda a: -a.mape))


def _statistics(keys: Mapping[str, str], rows: list[Compared]) -> Agreement:
    within = float(np.mean([abs(row.error) <= row.tolerance for row in rows]))
    return statistics(keys, np.array([row.error for row in rows]), within)


def statistics(keys: Mapping[str, str], error: NDArray[np.float64], within: float) -> Agreement:
    """A group's agreement from its signed errors, percent; `within` is NaN where no tolerance is set."""
    size = np.abs(error)
    return Agreement(
        keys,
        len(error),
        mape=float(size.mean()),
        median_ape=float(np.median(size)),
        p90_ape=float(np.quantile(size, 0.9)),
        bias=float(error.mean()),
        within=within,
    )


def comparison_json(
    kind: str,
    sections: Mapping[str, Sequence[Agreement]],
    rows: Sequence[Compared],
    skipped: Mapping[str, int],
) -> dict[str, object]:
    """A comparison as plain data: statistics by section, the rows, and what was left out and why."""
    return {
        "schema": 1,
        "version": __version__,
        "kind": kind,
        **{name: [a.to_json() for a in found] for name, found in sections.items()},
        "rows": [row.to_json() for row in rows],
        "skipped": [{"reason": reason, "n": n} for reason, n in skipped.items()],
    }

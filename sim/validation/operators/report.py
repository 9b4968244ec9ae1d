"""What a comparison with measured tables found: errors by operator, chip, type and stack, worst first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.operators.quantities import Array
from sim.timing.measured.rows import Rows
from sim.validation.agreement import Agreement, statistics
from sim.validation.operators.steps import StepSum, step_agreement
from sim.version import __version__

KEYS = ("operator", "chip", "dtype", "stack")


@dataclass(frozen=True, slots=True)
class Comparison:
    """Rows of one table with what was simulated, in seconds.

    Attributes:
        source: the table's file; groups: (operator, chip, dtype, stack) of each row; held: whether it lies
            within the model's P10 to P90, None where nothing was drawn.
    """

    source: str
    rows: Rows
    groups: NDArray[np.str_]
    measured: Array
    simulated: Array
    held: NDArray[np.bool_] | None = None

    @property
    def error(self) -> Array:
        """Signed errors, percent."""
        return 100.0 * (self.simulated - self.measured) / self.measured


@dataclass(frozen=True, slots=True)
class OperatorReport:
    """The comparison by group (worst first) and overall by operator, whole steps composed of the same tables,
    and what was left out and why."""

    parameters: str
    provenance: str
    overall: tuple[Agreement, ...]
    groups: tuple[Agreement, ...]
    compared: tuple[Comparison, ...]
    steps: tuple[StepSum, ...]
    skipped: Mapping[str, int]

    @property
    def n(self) -> int:
        """Rows compared."""
        return sum(comparison.rows.n for comparison in self.compared)

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return {
            "schema": 1,
            "version": __version__,
            "kind": "operators",
            "parameters": self.parameters,
            "provenance": self.provenance,
            "overall": [a.to_json() for a in self.overall],
            "groups": [a.to_json() for a in self.groups],
            "rows": [row for comparison in self.compared for row in _rows(comparison)],
            "steps": {
                "overall": [a.to_json() for a in step_agreement(self.steps, ("chip", "phase"))],
                "groups": [a.to_json() for a in step_agreement(self.steps)],
                "rows": [step.to_json() for step in self.steps],
            },
            "skipped": [{"reason": reason, "n": n} for reason, n in self.skipped.items()],
        }


def report(
    parameters: str,
    provenance: str,
    compared: Sequence[Comparison],
    steps: Sequence[StepSum],
    skipped: Mapping[str, int],
) -> OperatorReport:
    """Groups what was compared."""
    return OperatorReport(
        parameters,
        provenance,
        _agreement(compared, (0,)),
        _agreement(compared, range(len(KEYS))),
        tuple(compared),
        tuple(steps),
        dict(skipped),
    )


def _agreement(compared: Sequence[Comparison], keys: Sequence[int]) -> tuple[Agreement, ...]:
    """Errors by some of `KEYS`, the largest mean first."""
    if not any(comparison.rows.n for comparison in compared):
        return ()
    keyed = np.concatenate([comparison.groups[:, list(keys)] for comparison in compared])
    error = np.concatenate([comparison.error for comparison in compared])
    held = np.concatenate([np.full(c.rows.n, np.nan) if c.held is None else c.held for c in compared])
    names, which = np.unique(keyed, axis=0, return_inverse=True)
    order = np.argsort(which.ravel(), kind="stable")
    ends = np.cumsum(np.bincount(which.ravel()))[:-1]
    inside = (float(part.mean()) for part in np.split(held[order], ends))
    found = [
        statistics(dict(zip((KEYS[k] for k in keys), name.tolist(), strict=True)), group, within)
        for name, group, within in zip(names, np.split(error[order], ends), inside, strict=True)
    ]
    return tuple(sorted(found, key=lambda a: -a.mape))


def _rows(comparison: Comparison) -> list[dict[str, object]]:
    named = zip(
        comparison.rows.places.tolist(),
        comparison.groups.tolist(),
        comparison.measured.tolist(),
        comparison.simulated.tolist(),
        strict=True,
    )
    return [
        {
            "id": f"{comparison.source}:{place}",
            **dict(zip(KEYS, group, strict=True)),
            "measured": measured,
            "simulated": simulated,
        }
        for place, group, measured, simulated in named
    ]

"""The spread of every output of a run, and what decides it.

P10, P50, P90 of each output over a Latin hypercube of the factors; all samples share seed and arrivals, so
that the spread is that of the assumptions and not of chance. The influence of a factor is Spearman's rank
correlation between its u and the output: +1 where the output rises with it whatever the others do, 0 where
it does not matter.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from sim.errors import UserError
from sim.planning.evaluate import Task, evaluate
from sim.planning.executors import Executor, make_executor
from sim.planning.outputs import OUTPUTS
from sim.planning.sweep.axes import Range
from sim.planning.uncertainty.factors import draws, factors, task_at
from sim.scenario.scenario import Scenario
from sim.version import __version__

FEWEST = 4


@dataclass(frozen=True, slots=True)
class Band:
    """10, 50 and 90 % quantiles over the samples."""

    p10: float
    p50: float
    p90: float


@dataclass(frozen=True, slots=True)
class Influence:
    """How strongly a factor decides an output: rank correlation."""

    factor: str
    correlation: float


@dataclass(frozen=True, slots=True)
class Spread:
    """Attributes:
    samples: runs; refused: those whose draw made the layout impossible.
    bands: output → its band; influences: output → factors, the most influential first.
    """

    samples: int
    refused: int
    bands: Mapping[str, Band]
    influences: Mapping[str, tuple[Influence, ...]]

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return {
            "schema": 1,
            "version": __version__,
            "samples": self.samples,
            "refused": self.refused,
            "outputs": {
                name: asdict(band) | {"influences": [asdict(i) for i in self.influences[name]]}
                for name, band in self.bands.items()
            },
        }


def band(values: Sequence[float]) -> Band:
    """The band of some values."""
    p10, p50, p90 = (float(q) for q in np.quantile(np.array(values, np.float64), (0.1, 0.5, 0.9)))
    return Band(p10, p50, p90)


def uncertainty(
    scenario: Scenario,
    samples: int,
    *,
    vary: Mapping[str, str] | None = None,
    backend: str | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Spread:
    """Runs a scenario under draws of everything that is uncertain about it.

    Args:
        samples: runs, at least `FEWEST`.
        vary: path → range, such as {"workload.output_tokens.mean": "x0.8..x1.25"}, beside the figures.
        backend, workers, progress: as of `sim.sweep`.
    Raises:
        UserError: for too few samples, a faulty range, or where no draw is possible.
    """
    if samples < FEWEST:
        raise UserError(f"--uncertainty {samples}: at least {FEWEST} samples are needed")
    known = factors(scenario, ranges(vary or {}))
    u = draws([factor.name for factor in known], samples, scenario.spec.seed)
    with closing(make_executor(backend, workers)) as executor:
        records = runs(
            [task_at(scenario, known, row, str(i)) for i, row in enumerate(u.tolist())], executor, progress
        )
    return spread([factor.name for factor in known], u, records)


def ranges(vary: Mapping[str, str]) -> dict[str, Range]:
    """The ranges of varied paths.

    Raises:
        UserError: for one that is no range.
    """
    found: dict[str, Range] = {}
    for path, text in vary.items():
        first, dots, last = text.partition("..")
        try:
            if not dots:
                raise ValueError("write a range such as x0.8..x1.25 or 1..8")
            found[path] = Range.model_validate({"from": first.strip(), "to": last.strip()})
        except ValueError as error:
            lines = str(error).splitlines()
            told = next((line for line in lines if "Value error, " in line), lines[0])
            said = told.strip().removeprefix("Value error, ").partition(" [type=")[0]
            raise UserError(f"--vary {path}={text}: {said}") from None
    return found


def runs(
    tasks: Sequence[Task], executor: Executor, progress: Callable[[int, int], None]
) -> list[Mapping[str, object] | None]:
    """The records of tasks in their order; None for one that was refused."""
    found: dict[str, Mapping[str, object] | None] = {}
    with closing(executor.results(evaluate, tasks)) as results:
        for finished in results:
            found[finished.key] = json.loads(finished.record) if finished.status == "done" else None
            progress(len(found), len(tasks))
    return [found[str(i)] for i in range(len(tasks))]


def spread(
    names: Sequence[str], u: NDArray[np.float64], records: Sequence[Mapping[str, object] | None]
) -> Spread:
    """Bands and influences of the outputs in these records.

    Raises:
        UserError: where every draw was refused.
    """
    kept = [i for i, record in enumerate(records) if record is not None]
    if not kept:
        raise UserError("no draw of the uncertain figures gives a layout that fits")
    bands: dict[str, Band] = {}
    influences: dict[str, tuple[Influence, ...]] = {}
    for output in OUTPUTS:
        values = [output.of(record) for i in kept if (record := records[i]) is not None]
        known = [value for value in values if value is not None and math.isfinite(value)]
        if len(known) == len(kept):
            bands[output.name] = band(known)
            influences[output.name] = influence(names, u[kept], np.array(known))
    return Spread(len(records), len(records) - len(kept), bands, influences)


def influence(
    names: Sequence[str], u: NDArray[np.float64], values: NDArray[np.float64]
) -> tuple[Influence, ...]:
    """Rank correlation of each factor with the values, the strongest first."""
    ranks = _ranks(values)
    found = [
        Influence(name, _correlation(_ranks(column), ranks)) for name, column in zip(names, u.T, strict=True)
    ]
    return tuple(sorted(found, key=lambda i: -abs(i.correlation)))


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks, equal values sharing the mean of theirs."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return (last - (count - 1) / 2.0)[place]


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    spread_a, spread_b = float(a.std()), float(b.std())
    if spread_a == 0.0 or spread_b == 0.0:
        return 0.0
    return float(((a - a.mean()) * (b - b.mean())).mean() / (spread_a * spread_b))

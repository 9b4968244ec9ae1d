"""The spread of every output of a run, and what decides it.

P10, P50, P90 of each output over a Latin hypercube of the factors; all samples share seed and arrivals, so
that the spread is that of the assumptions and not of chance. The same samples with the model's own error
alone say what of it remains when every figure is known:

    share of the model = Var(model's error alone) / Var(all), at most 1

The influence of a factor is Spearman's rank correlation between its u and the output: +1 where the output
rises with it whatever the others do, 0 where it does not matter.
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
from sim.planning.outputs import OUTPUTS, field
from sim.planning.sweep.axes import Range
from sim.planning.uncertainty.factors import draws, factors, task_at
from sim.scenario.scenario import Scenario
from sim.version import __version__

FEWEST = 4
LATENCY_LEVELS = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
"""Quantiles of each latency that have a band of their own."""
BANDED = (
    *(output.name for output in OUTPUTS),
    *(f"{level}_{name}_ms" for name in ("ttft", "tpot", "itl", "e2el") for level in LATENCY_LEVELS),
    *("mean_ttft_ms", "mean_tpot_ms", "kv_peak", "mean_running", "busy_share"),
)
"""Fields of a run's record that get a band: the outputs, and what the charts of a run show."""


@dataclass(frozen=True, slots=True)
class Band:
    """10, 50 and 90 % quantiles over the samples."""

    p10: float
    p50: float
    p90: float


@dataclass(frozen=True, slots=True)
class ModelError:
    """What the model's own error does to an output: its band alone, and its share of the whole variance."""

    band: Band
    share: float


@dataclass(frozen=True, slots=True)
class Influence:
    """How strongly a factor decides an output: rank correlation."""

    factor: str
    correlation: float


@dataclass(frozen=True, slots=True)
class Spread:
    """Attributes:
    samples: draws; refused: those that made the layout impossible.
    bands: field of `BANDED` → its band; model: field → its band under the model's own error alone, and the
        share of the variance that this is.
    influences: field → factors, the most influential first.
    """

    samples: int
    refused: int
    bands: Mapping[str, Band]
    model: Mapping[str, "ModelError"]
    influences: Mapping[str, tuple[Influence, ...]]

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return {
            "schema": 1,
            "version": __version__,
            "samples": self.samples,
            "refused": self.refused,
            "outputs": {
                name: asdict(band)
                | {"model_error": asdict(self.model[name]) if name in self.model else None}
                | {"influences": [asdict(i) for i in self.influences[name]]}
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
    erring = np.array([factor.kind == "model error" for factor in known])
    rows = [*u.tolist(), *np.where(erring, u, np.nan).tolist()] if erring.any() else u.tolist()
    with closing(make_executor(backend, workers)) as executor:
        records = runs(
            [task_at(scenario, known, row, str(i)) for i, row in enumerate(rows)], executor, progress
        )
    return spread([factor.name for factor in known], u, records[:samples], records[samples:])


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
    names: Sequence[str],
    u: NDArray[np.float64],
    records: Sequence[Mapping[str, object] | None],
    model: Sequence[Mapping[str, object] | None] = (),
) -> Spread:
    """Bands and influences of the outputs in these records.

    Args:
        model: records of the same samples under the model's own error alone.
    Raises:
        UserError: where every draw was refused.
    """
    kept = [i for i, record in enumerate(records) if record is not None]
    if not kept:
        raise UserError("no draw of the uncertain figures gives a layout that fits")
    bands: dict[str, Band] = {}
    own: dict[str, ModelError] = {}
    influences: dict[str, tuple[Influence, ...]] = {}
    for name in dict.fromkeys(BANDED):
        values, alone = _values(name, records), _values(name, model)
        if len(values) == len(kept):
            bands[name] = band(values)
            influences[name] = influence(names, u[kept], np.array(values))
            if alone:
                variance = float(np.var(values))
                share = min(1.0, float(np.var(alone)) / variance) if variance > 0 else 0.0
                own[name] = ModelError(band(alone), share)
    return Spread(len(records), len(records) - len(kept), bands, own, influences)


def _values(name: str, records: Sequence[Mapping[str, object] | None]) -> list[float]:
    """The finite values of a field in the records that have one."""
    found = [field(record, name) for record in records if record is not None]
    return [value for value in found if value is not None and math.isfinite(value)]


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

"""The steps of a run, some of them priced operator by operator, each standing for its like.

A run has too many different steps to price each again. Its rows fall into two strata:
  decodes   rows without prefill, whole; of a row with prefill, the time its decodes would have taken alone
  mixed     rows with prefill, whole
Within a stratum rows are drawn systematically (equal time between draws), ordered by composition and thinned
to the sample. A row belongs to the sample in whose stretch of compositions it lies, so that any weights over
rows are divided by cause as

    Σ_rows weight · share of the cause = Σ_samples (Σ weights of its rows) · share in the sampled step
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.metrics.row_batch import RowBatches
from sim.operators.batch import BatchShape
from sim.serving.records import Floats, RunResult, StepSegments
from sim.timing.attribution import attribution
from sim.timing.timer import StepBreakdown

SAMPLES = 24  # shares within 0.3 points of pricing 800 steps, on A.X K1 under Poisson load
FEWEST_PER_STRATUM = 6
DRAWS_PER_SAMPLE = 32
_KNOTS = 5
"""Contexts at which a number of decodes is priced alone; between them its time is taken as straight."""

ONE_RANK = RowBatches()

Explain = Callable[[BatchShape], StepBreakdown]
Duration = Callable[[BatchShape], float]


@dataclass(frozen=True, slots=True)
class Stratum:
    """Sampled steps, and for every row of the run the sample it belongs to by its composition."""

    steps: tuple[StepBreakdown, ...]
    sample: NDArray[np.intp]

    def weights(self, by_row: Floats) -> Floats:
        """The weights of the rows, summed by sample."""
        return np.bincount(self.sample, by_row, minlength=len(self.steps)).astype(np.float64)


@dataclass(frozen=True, slots=True)
class SampledSteps:
    """Every row of a run with the samples that say what it consists of.

    Attributes:
        decodes, mixed: the strata; None where the run has no such row.
        time: s of each row; waited: s of it in which the mean rank waits for the slowest.
        alone: s of it that its decodes would have taken without the prefill beside them.
        prefills: which rows hold prefill; priced: steps that were priced.
    """

    decodes: Stratum | None
    mixed: Stratum | None
    time: Floats
    waited: Floats
    alone: Floats
    prefills: NDArray[np.bool_]
    priced: int

    def weighted(self, decodes: Floats, mixed: Floats) -> Iterator[tuple[StepBreakdown, float]]:
        """Each sampled step with the sum of the weights that rows have in its stratum, where that is any."""
        for stratum, by_row in ((self.decodes, decodes), (self.mixed, mixed)):
            if stratum is not None:
                weights: list[float] = stratum.weights(by_row).tolist()
                yield from ((s, w) for s, w in zip(stratum.steps, weights, strict=True) if w)

    def by_cause(self, decodes: Floats, mixed: Floats) -> dict[str, float]:
        """The weights divided by cause; they keep their sum where the sampled steps take any time."""
        causes: dict[str, float] = {}
        for step, weight in self.weighted(decodes, mixed):
            shares = attribution(step.operators)
            whole = sum(shares.values())  # empty for a step that takes no time
            for cause, seconds in shares.items():
                causes[cause] = causes.get(cause, 0.0) + weight * seconds / whole
        return causes


def sample_steps(
    result: RunResult,
    explain: Explain,
    duration: Duration,
    batches: RowBatches = ONE_RANK,
    samples: int = SAMPLES,
) -> SampledSteps:
    """Price a sample of the run's steps.

    Args:
        explain: prices one step operator by operator (`StepTimer.explain`); duration: seconds of a step
            without prefill.
        batches: what a rank computes in a row; samples: at most so many steps are priced.
    """
    rows = result.segments
    time = rows.time
    waited = rows.waited if len(rows.waited) else np.zeros(len(time))
    prefills = rows.chunk_tokens > 0
    alone = np.where(prefills, _alone(rows, prefills, duration, batches), time)
    alone = np.clip(alone, 0.0, time - waited)
    priced: dict[tuple[int, bool], StepBreakdown] = {}
    whole = float(alone.sum()) + float(time[prefills].sum())

    def stratum(by_row: Floats, chunks: bool) -> Stratum | None:
        chosen = np.flatnonzero(by_row > 0)
        if not len(chosen):
            return None
        share = float(by_row[chosen].sum()) / whole
        quota = min(samples - FEWEST_PER_STRATUM, max(FEWEST_PER_STRATUM, round(samples * share)))
        order = _composition(rows, chunks)
        picks, sample = _representatives(rows, order, chosen, by_row[chosen], max(1, quota))
        for row in picks:
            if (row, chunks) not in priced:
                priced[row, chunks] = explain(batches.of_row(rows, row, chunks=chunks))
        steps = tuple(priced[row, chunks] for row in picks)
        return Stratum(steps, sample)

    decodes, mixed = stratum(alone, False), stratum(np.where(prefills, time, 0.0), True)
    return SampledSteps(decodes, mixed, time, waited, alone, prefills, len(priced))


def _alone(
    rows: StepSegments,
    prefills: NDArray[np.bool_],
    duration: Duration,
    batches: RowBatches,
) -> Floats:
    """What the decodes of rows with prefill would take alone: by number of decodes, straight in the context
    between `_KNOTS` of the contexts that occur."""
    alone = np.zeros(len(rows.start))
    chosen = np.flatnonzero(prefills & (rows.decodes > 0))
    chosen = chosen[np.lexsort((rows.context[chosen], rows.decodes[chosen]))]
    for alike in np.split(chosen, np.flatnonzero(np.diff(rows.decodes[chosen])) + 1):
        if not len(alike):
            break  # no row with prefill has a decode
        contexts = rows.context[alike]
        knots = np.unique(contexts[np.linspace(0, len(alike) - 1, _KNOTS).astype(np.intp)])
        count = int(rows.decodes[alike[0]])
        times = [duration(batches.decodes(count, context)) for context in knots.tolist()]
        alone[alike] = np.interp(contexts, knots, times)
    return alone


def _composition(rows: StepSegments, chunks: bool) -> NDArray[np.int64]:
    """A number per row that orders rows by tokens (with their chunks), decodes, context."""
    decodes, context = np.minimum(rows.decodes, (1 << 14) - 1), np.minimum(rows.context >> 4, (1 << 28) - 1)
    key = decodes << 28 | context
    if not chunks:
        return key
    return np.minimum(rows.decodes + rows.chunk_tokens, (1 << 20) - 1) << 42 | key


def _middles(rows: StepSegments, stretches: NDArray[np.intp]) -> NDArray[np.intp]:
    """Of each stretch of draws the row nearest to its mean in tokens, decodes, context and past, each counted
    in standard deviations over all draws."""
    distance = np.zeros(stretches.shape)
    for column in (rows.chunk_tokens, rows.decodes, rows.context, rows.chunk_past):
        values = column[stretches].astype(np.float64)
        spread = float(values.std())
        if spread > 0:
            distance += ((values - values.mean(axis=1, keepdims=True)) / spread) ** 2
    return stretches[np.arange(len(stretches)), distance.argmin(axis=1)]


def _representatives(
    rows: StepSegments, order: NDArray[np.int64], chosen: NDArray[np.intp], weight: Floats, wanted: int
) -> tuple[list[int], NDArray[np.intp]]:
    """Rows that each stand for an equal share of the chosen rows' weight, in `order` (a row may appear more
    than once), and for every row which of them stands for it."""
    cumulative = np.cumsum(weight)
    draws = wanted * DRAWS_PER_SAMPLE
    drawn = chosen[np.searchsorted(cumulative, (np.arange(draws) + 0.5) / draws * cumulative[-1])]
    drawn = drawn[np.argsort(order[drawn], kind="stable")]
    picks = _middles(rows, drawn.reshape(wanted, DRAWS_PER_SAMPLE))
    stretch = np.searchsorted(order[drawn[DRAWS_PER_SAMPLE::DRAWS_PER_SAMPLE]], order, side="right")
    alike = np.minimum(np.searchsorted(order[picks], order), wanted - 1)
    return picks.tolist(), np.where(order[picks][alike] == order, alike, stretch)

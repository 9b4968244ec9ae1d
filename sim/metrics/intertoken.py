"""Inter-token latency: every gap between two tokens of one request, from rows of decode steps.

A row of S steps with D decodes holds S·D gaps; step i of it lasts first + slope·i. So, per row,

    count = D·S
    sum   = D·(S·first + slope·S(S-1)/2)
    sum²  = D·(S·first² + first·slope·S(S-1) + slope²·(S-1)S(2S-1)/6)

which makes mean and deviation exact. Percentiles are of the weighted distribution: each row is laid out as
equally weighted points along its line, close enough that neighbours differ by less than 0.2 % (RESOLUTION),
and the points are counted in logarithmic bins of 0.01 % width, so that no sort is needed.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.metrics.latency import ABSENT, PERCENTILES, Floats, Statistics
from sim.serving.records import FINISHED, RequestTable, RunResult, StepSegments

RESOLUTION = 2e-3
BIN_WIDTH = 1e-4
SHORTEST_GAP = 1e-9
FEWEST_POINTS = 8
POINT_BUDGET = 200_000


@dataclass(frozen=True, slots=True)
class Gaps:
    """Gaps of one run or window: rows of (first, slope, steps) with `decodes` sequences each, all > 0."""

    first: Floats
    slope: Floats
    steps: Floats
    decodes: Floats

    @property
    def counts(self) -> Floats:
        """Gaps per row."""
        return self.steps * self.decodes


def gaps(result: RunResult, chosen: NDArray[np.bool_] | None = None, share: float = 1.0) -> Gaps:
    """The gaps in the chosen rows (all by default) of a run, with `share` of its recompute gaps."""
    rows = result.segments
    keep = rows.decodes > 0
    if chosen is not None:
        keep &= chosen
    found = Gaps(
        rows.first[keep], rows.slope[keep], rows.steps[keep].astype(np.float64),
        rows.decodes[keep].astype(np.float64),
    )  # fmt: skip
    count, gap = recompute_gaps(result.requests, rows)
    if count * share <= 0:
        return found
    return Gaps(
        np.append(found.first, gap), np.append(found.slope, 0.0), np.append(found.steps, 1.0),
        np.append(found.decodes, count * share),
    )  # fmt: skip


def recompute_gaps(requests: RequestTable, rows: StepSegments) -> tuple[int, float]:
    """How many gaps span a preemption, and their mean (s).

    A preempted sequence's next token ends a recompute, not a decode step, so its gap is in no row. What the
    rows lack of the requests' own totals is exactly these gaps: Σ(output - 1) of them in number,
    Σ(finish - first token) in time. They are all taken at their mean.
    """
    if not requests.preemptions.any():
        return 0, 0.0
    done = requests.status == FINISHED
    if np.isfinite(requests.first_token[~done]).any():
        return 0, 0.0  # a request cut off in mid-answer: the totals cannot be compared
    decodes = rows.decodes.astype(np.float64)
    missing = int((requests.output_tokens[done] - 1).sum()) - int((rows.steps * rows.decodes).sum())
    seconds = (requests.finish[done] - requests.first_token[done]).sum() - (rows.time * decodes).sum()
    if missing <= 0 or seconds <= 0:
        return 0, 0.0
    return missing, float(seconds) / missing


def gap_statistics(found: Gaps) -> Statistics:
    """Mean, deviation and percentiles of single gaps (s); ABSENT if there are none."""
    if not len(found.first):
        return ABSENT
    first, slope, steps, decodes = found.first, found.slope, found.steps, found.decodes
    count = float(found.counts.sum())
    pairs = steps * (steps - 1.0)
    mean = float((decodes * (steps * first + 0.5 * slope * pairs)).sum()) / count
    # squares around the mean, so that nothing cancels where all gaps are alike
    offset = first - mean
    squares = steps * offset**2 + offset * slope * pairs + slope**2 * pairs * (2.0 * steps - 1.0) / 6.0
    variance = float((decodes * squares).sum()) / count
    values, weights = gap_points(found)
    quantiles = weighted_quantiles(values, weights, np.array(PERCENTILES) / 100)
    return Statistics(mean, max(variance, 0.0) ** 0.5, tuple(quantiles.tolist()))


def gap_points(found: Gaps) -> tuple[Floats, Floats]:
    """The rows as weighted points; a row whose gaps differ by less than RESOLUTION is one point."""
    spread = found.slope * (found.steps - 1.0)
    middle = found.first + 0.5 * spread
    wide = np.flatnonzero(np.abs(spread) > RESOLUTION * middle)
    weights = found.counts
    if not len(wide):
        return middle, weights
    steps, lowest = found.steps[wide], np.minimum(found.first[wide], found.first[wide] + spread[wide])
    wanted = np.ceil(np.abs(spread[wide]) / (RESOLUTION * np.maximum(lowest, SHORTEST_GAP)))
    most = max(FEWEST_POINTS, POINT_BUDGET // len(wide))
    points = np.minimum(np.minimum(wanted, most), steps).astype(np.int64)
    row = np.repeat(np.arange(len(wide)), points)
    place = np.arange(len(row)) - np.repeat(np.cumsum(points) - points, points)
    step = (place + 0.5) * (steps / points)[row] - 0.5
    values = found.first[wide][row] + found.slope[wide][row] * step
    narrow = np.ones(len(middle), np.bool_)
    narrow[wide] = False
    return (
        np.concatenate((middle[narrow], values)),
        np.concatenate((weights[narrow], (weights[wide] / points)[row])),
    )


def weighted_quantiles(values: Floats, weights: Floats, levels: Floats) -> Floats:
    """The smallest value at or below which a share `level` of the weight lies, within BIN_WIDTH.

    Args:
        values: s, not empty; weights: positive; levels: in [0, 1].
    """
    values = np.maximum(values, SHORTEST_GAP)
    lowest = values.min()
    bins = (np.log(values / lowest) * (1.0 / BIN_WIDTH)).astype(np.int64)
    weight = np.bincount(bins, weights)
    content = np.bincount(bins, weights * values)
    below = np.cumsum(weight)
    # a hair less, so that rounding in the sum does not push an exact boundary into the next bin
    reached = levels * (float(below[-1]) * (1.0 - 1e-12))
    at = np.searchsorted(below, reached)
    return content[at] / weight[at]

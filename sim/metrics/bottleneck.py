"""Where the time of a run goes: by resource and by operator.

A run has too many different steps to price each operator by operator again, so a sample is. Rows of
decode-only steps and rows with prefill are two strata, each with its exact time; within a stratum, rows are
drawn systematically in time (equal time between draws), ordered by composition, and thinned to the sample, so
each sampled step stands for an equal time. Share of resource r =

    Σ_strata time_s · mean over its samples of (parts_r / Σ parts)  /  Σ_strata time_s
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from numpy.typing import NDArray

from sim.metrics.intertoken import row_time
from sim.operators.batch import BatchShape
from sim.serving.records import RunResult, StepSegments
from sim.timing.timer import Bound, OperatorTime, StepBreakdown

SAMPLES = 24  # shares within 0.3 points of pricing 800 steps, on A.X K1 under Poisson load
FEWEST_PER_STRATUM = 6
DRAWS_PER_SAMPLE = 32

Explain = Callable[[BatchShape], StepBreakdown]


@dataclass(frozen=True, slots=True)
class OperatorShare:
    """One operator over the whole run: its share of busy time, and of what resource.

    `light` is the share of busy time the operator would take at its own speed of light. `flops`,
    `hbm_bytes`, `wire_bytes` are per chip and busy second.
    """

    name: str
    group: str
    share: float
    light: float
    flops: float
    hbm_bytes: float
    wire_bytes: float
    parts: Mapping[Bound, float]


@dataclass(frozen=True, slots=True)
class TimeBreakdown:
    """Where the replicas' time goes.

    Attributes:
        busy: share of replica time (duration · replicas) in which a step runs; idle = 1 - busy.
        by_resource: share of busy time by resource, largest first; sums to 1.
        by_operator: largest share first; shares sum to 1.
        light: busy time at the operators' own speed of light / busy time.
        samples: steps that were priced.
    """

    busy: float
    by_resource: Mapping[Bound, float]
    by_operator: tuple[OperatorShare, ...]
    light: float
    samples: int

    @property
    def idle(self) -> float:
        """Share of replica time without a step."""
        return 1.0 - self.busy

    @property
    def bound_by(self) -> Bound | None:
        """The resource that takes the most busy time; None for a run without a step."""
        return next(iter(self.by_resource), None)

    @property
    def by_group(self) -> dict[str, float]:
        """Share of busy time by operator group, largest first."""
        groups: defaultdict[str, float] = defaultdict(float)
        for operator in self.by_operator:
            groups[operator.group] += operator.share
        return dict(sorted(groups.items(), key=lambda item: -item[1]))

    def rate(self, what: Callable[[OperatorShare], float]) -> float:
        """Sum over operators of a per-busy-second quantity, such as `lambda o: o.flops`."""
        return sum(what(operator) for operator in self.by_operator)


def time_breakdown(
    result: RunResult,
    explain: Explain,
    windows: Sequence[int] = (),
    ranks: int = 1,
    queries: int = 1,
    samples: int = SAMPLES,
) -> TimeBreakdown:
    """Price a sample of the run's steps and say where the time went.

    Args:
        explain: prices one step operator by operator (`StepTimer.explain`).
        windows: the timer's windows; a row keeps Σ context only, so Σ min(context, w) is taken as
            min(Σ context, decodes · w), which is exact when all contexts lie on one side of w.
        ranks: attention-dp ranks that step together; a row holds the sums over them, a rank's batch is taken
            as an equal part of it.
        queries: tokens that a decode computes in a step.
        samples: at most so many steps are priced.
    """
    rows = result.segments
    time = row_time(rows)
    total = float(time.sum())
    if total <= 0:
        return TimeBreakdown(0.0, {}, (), float("nan"), 0)
    tally = _Tally()
    for stratum in (rows.chunk_tokens == 0, rows.chunk_tokens > 0):
        chosen = np.flatnonzero(stratum & (time > 0))
        if not len(chosen):
            continue
        weight = float(time[chosen].sum()) / total
        quota = min(samples - FEWEST_PER_STRATUM, max(FEWEST_PER_STRATUM, round(samples * weight)))
        picks = _representative(rows, chosen, time[chosen], max(1, quota))
        counted = Counter(cast("list[int]", picks.tolist()))
        for row, times in sorted(counted.items()):
            tally.add(explain(batch_of(rows, row, windows, ranks, queries)), weight * times / len(picks))
    span = result.duration * result.replicas
    return tally.breakdown(min(1.0, total / span) if span > 0 else 1.0)


def batch_of(
    rows: StepSegments, row: int, windows: Sequence[int] = (), ranks: int = 1, queries: int = 1
) -> BatchShape:
    """One rank's batch in the middle of a row of steps; chunks of a mixed step are taken as equal."""
    whole = int(rows.context[row]) + int(rows.decodes[row]) * ((int(rows.steps[row]) - 1) // 2)
    summed = rows.decodes[row], whole, rows.chunks[row], rows.chunk_tokens[row], rows.chunk_past[row]
    decodes, context, chunks, tokens, past = (-(-int(part) // ranks) for part in summed)
    return BatchShape(
        decodes=decodes,
        context=context,
        windowed=tuple(min(context, decodes * window) for window in windows),
        chunks=tuple((_part(tokens, chunks, i), _part(past, chunks, i)) for i in range(min(chunks, tokens))),
        queries=queries,
    )


def _part(whole: int, parts: int, index: int) -> int:
    """The index-th of `parts` nearly equal integers that sum to `whole`."""
    return whole * (index + 1) // parts - whole * index // parts


def _representative(
    rows: StepSegments, chosen: NDArray[np.intp], time: NDArray[np.float64], wanted: int
) -> NDArray[np.intp]:
    """Rows that each stand for an equal share of the chosen rows' time (a row may appear more than once)."""
    cumulative = np.cumsum(time)
    draws = wanted * DRAWS_PER_SAMPLE
    drawn = chosen[np.searchsorted(cumulative, (np.arange(draws) + 0.5) / draws * cumulative[-1])]
    composition = np.lexsort(
        (rows.context[drawn], rows.decodes[drawn], rows.decodes[drawn] + rows.chunk_tokens[drawn])
    )
    return drawn[composition[DRAWS_PER_SAMPLE // 2 :: DRAWS_PER_SAMPLE]]


@dataclass(slots=True)
class _Tally:
    """Sums over the priced steps, each with the share of busy time it stands for."""

    shares: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    parts: dict[tuple[str, str], dict[Bound, float]] = field(default_factory=dict)
    samples: int = 0

    def add(self, step: StepBreakdown, weight: float) -> None:
        self.samples += 1
        whole = sum(operator.time for operator in step.operators)
        if whole <= 0:
            return
        for operator in step.operators:
            key = (operator.name, operator.group)
            sums = self.shares.setdefault(key, [0.0] * 5)
            amounts = (operator.time, operator.light, operator.flops, operator.hbm_bytes, operator.wire_bytes)
            for i, amount in enumerate(amounts):
                sums[i] += weight * amount / whole
            by_resource = self.parts.setdefault(key, {})
            for resource, seconds in _parts(operator).items():
                by_resource[resource] = by_resource.get(resource, 0.0) + weight * seconds / whole

    def breakdown(self, busy: float) -> TimeBreakdown:
        operators = [
            OperatorShare(name, group, *self.shares[name, group], parts=self.parts[name, group])
            for name, group in self.shares
        ]
        operators.sort(key=lambda operator: (-operator.share, operator.name))
        resources: defaultdict[Bound, float] = defaultdict(float)
        for operator in operators:
            for resource, share in operator.parts.items():
                resources[resource] += share
        return TimeBreakdown(
            busy=busy,
            by_resource=dict(sorted(resources.items(), key=lambda item: (-item[1], item[0]))),
            by_operator=tuple(operators),
            light=sum(operator.light for operator in operators),
            samples=self.samples,
        )


def _parts(operator: OperatorTime) -> Mapping[Bound, float]:
    """Seconds by resource, summing to the operator's time."""
    whole = sum(operator.parts.values())
    if whole <= 0:
        return {operator.bound: operator.time}
    return {resource: seconds * operator.time / whole for resource, seconds in operator.parts.items()}

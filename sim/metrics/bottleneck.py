"""Where the time of a run goes: by cause and by operator, from a sample of its steps.

Share of a cause = Σ_rows time · share in the row's sampled step / Σ_rows time, where the time in which the
mean rank waits for the slowest is known of every row and belongs to `imbalance`.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeVar

import numpy as np

from sim.metrics.sampled_steps import SampledSteps
from sim.serving.records import RunResult
from sim.timing.attribution import by_cause, ordered
from sim.timing.timer import Bound, OperatorTime, StepBreakdown

Name = TypeVar("Name", bound=str)
State = Literal["decode", "prefill", "hottest"]
RANK_WAIT = "rank_wait"
"""The row of the operators that holds waiting of attention-dp ranks for one another."""


@dataclass(frozen=True, slots=True)
class OperatorShare:
    """One operator over the whole run: its share of busy time, and of what resource.

    `light` is the share of busy time the operator would take at its own speed of light. `flops`,
    `hbm_bytes`, `wire_bytes` are per chip and busy second, as is `energy`
    (W above what an active chip draws).
    """

    name: str
    group: str
    share: float
    light: float
    flops: float
    hbm_bytes: float
    wire_bytes: float
    energy: float
    parts: Mapping[Bound, float]


@dataclass(frozen=True, slots=True)
class TimeBreakdown:
    """Where the replicas' time goes.

    Attributes:
        busy: share of replica time (duration · replicas) in which a step runs; idle = 1 - busy.
        by_resource: share of busy time by resource, largest first; sums to 1.
        by_cause: the same with each level of the fabric in the link's place.
        by_operator: largest share first; shares sum to 1.
        by_source: share of busy time by what priced it (`OperatorTime.source`); waiting ranks have none.
        light: busy time at the operators' own speed of light / busy time.
        samples: steps that were priced.
        switching: W of a chip above active by state: in steps of decodes alone, in steps with prefill, in the
            hottest of the steps.
    """

    busy: float
    by_resource: Mapping[Bound, float]
    by_cause: Mapping[str, float]
    by_operator: tuple[OperatorShare, ...]
    by_source: Mapping[str, float]
    light: float
    samples: int
    switching: Mapping[State, float] = field(default_factory=dict[State, float])

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


def time_breakdown(result: RunResult, sampled: SampledSteps) -> TimeBreakdown:
    """Say where the time of a run went, from its sampled steps."""
    total = float(sampled.time.sum())
    if total <= 0:
        return TimeBreakdown(0.0, {}, {}, (), {}, float("nan"), 0)
    working = (sampled.time - sampled.waited) / total
    tally = _Tally(float(sampled.waited.sum()) / total)
    decodes, mixed = np.where(sampled.prefills, 0.0, working), np.where(sampled.prefills, working, 0.0)
    for step, weight in sampled.weighted(decodes, mixed):
        tally.add(step, weight)
    none = np.zeros_like(working)
    tally.switching = switching(sampled.weighted(decodes, none), sampled.weighted(none, mixed))
    span = result.duration * result.replicas
    return tally.breakdown(min(1.0, total / span) if span > 0 else 1.0, sampled.priced)


@dataclass(slots=True)
class _Tally:
    """Sums over the priced steps, each with the share of busy time it stands for."""

    waited: float
    shares: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    parts: dict[tuple[str, str], dict[Bound, float]] = field(default_factory=dict)
    causes: dict[str, float] = field(default_factory=dict)
    sources: dict[str, float] = field(default_factory=dict)
    switching: dict[State, float] = field(default_factory=dict[State, float])

    def add(self, step: StepBreakdown, weight: float) -> None:
        whole = sum(operator.time for operator in step.operators)
        if whole <= 0:
            return
        for operator in step.operators:
            key = (operator.name, operator.group)
            sums = self.shares.setdefault(key, [0.0] * 6)
            amounts = (operator.time, operator.light, operator.flops)
            moved = (operator.hbm_bytes, operator.wire_bytes, operator.energy)
            for i, amount in enumerate((*amounts, *moved)):
                sums[i] += weight * amount / whole
            add(self.parts.setdefault(key, {}), _parts(operator), weight / whole)
            add(self.causes, by_cause(operator), weight / whole)
            add(self.sources, {operator.source: operator.time}, weight / whole)

    def breakdown(self, busy: float, samples: int) -> TimeBreakdown:
        operators = [
            OperatorShare(name, group, *self.shares[name, group], parts=self.parts[name, group])
            for name, group in self.shares
        ]
        if self.waited > 0:
            wait: dict[Bound, float] = {"imbalance": self.waited}
            operators.append(OperatorShare(RANK_WAIT, RANK_WAIT, self.waited, *[0.0] * 5, parts=wait))
            add(self.causes, {"imbalance": self.waited}, 1.0)
        operators.sort(key=lambda operator: (-operator.share, operator.name))
        resources: dict[Bound, float] = {}
        for operator in operators:
            add(resources, operator.parts, 1.0)
        return TimeBreakdown(
            busy=busy,
            by_resource=dict(sorted(resources.items(), key=lambda item: (-item[1], item[0]))),
            by_cause=ordered(self.causes),
            by_operator=tuple(operators),
            by_source=self.sources,
            light=sum(operator.light for operator in operators),
            samples=samples,
            switching=self.switching,
        )


def switching(
    decodes: Iterable[tuple[StepBreakdown, float]], mixed: Iterable[tuple[StepBreakdown, float]]
) -> dict[State, float]:
    """W above active by state: means over the steps' time, and the most of any step; states that occur."""
    found: dict[State, float] = {}
    states: tuple[tuple[State, Iterable[tuple[StepBreakdown, float]]], ...]
    states = (("decode", decodes), ("prefill", mixed))
    for state, steps in states:
        powers = [
            (sum(operator.energy for operator in step.operators) / step.total, weight)
            for step, weight in steps
            if step.total > 0 and weight > 0
        ]
        if powers:
            found[state] = sum(watts * w for watts, w in powers) / sum(w for _, w in powers)
            found["hottest"] = max(found.get("hottest", 0.0), *(watts for watts, _ in powers))
    return found


def add(sums: dict[Name, float], amounts: Mapping[Name, float], factor: float) -> None:
    """Adds each amount, times the factor, to the sum of its name."""
    for name, amount in amounts.items():
        sums[name] = sums.get(name, 0.0) + factor * amount


def _parts(operator: OperatorTime) -> Mapping[Bound, float]:
    """Seconds by resource, summing to the operator's time."""
    whole = sum(operator.parts.values())
    if whole <= 0:
        return {operator.bound: operator.time}
    return {resource: seconds * operator.time / whole for resource, seconds in operator.parts.items()}

"""A priced step as a timeline: its operators one after another in the order in which they are listed.

Roofline and analytic prices say how long each operator takes and on what, not when. So all repetitions of
an operator stand together, and within it the causes of its time (sim.timing.attribution) follow one another,
each on a track of its own: fixed costs first, then work, then waiting. A rate is the mean over its operator.
"""

from collections.abc import Callable

from sim.timing.attribution import attribution, by_cause, ordered
from sim.timing.timeline import Counter, CriticalSpan, StepTimeline, TimelineEvent
from sim.timing.timer import OperatorTime, StepBreakdown

OPERATORS = "operators"
"""The track on which every operator stands whole."""
_FIXED = ("launch", "host")


def laid_out(step: StepBreakdown, peak: float, bandwidth: float) -> StepTimeline:
    """The step's operators end to end; its end is the step's duration.

    Args:
        peak: FLOP/s and bandwidth: B/s of HBM of a chip, for the counters of utilisation.
    """
    taken = [operator for operator in step.operators if operator.time > 0]
    starts: list[float] = []
    now = 0.0
    for operator in taken:
        starts.append(now)
        now += operator.time
    events: list[TimelineEvent] = []
    spans: list[CriticalSpan] = []
    for operator, start in zip(taken, starts, strict=True):
        events.append(_event(operator, OPERATORS, start, start + operator.time))
        events += _causes(operator, start)
        spans.append(
            CriticalSpan(
                operator.name, operator.group, -1, 0, start, start + operator.time, 1, dict(operator.parts)
            )
        )
    return StepTimeline(
        tracks=(OPERATORS, *ordered(attribution(taken))),
        events=tuple(events),
        counters=(
            _counter(taken, starts, now, "HBM traffic", "B/s", lambda operator: operator.hbm_bytes),
            _counter(taken, starts, now, "link traffic", "B/s", lambda operator: operator.wire_bytes),
            _counter(taken, starts, now, "HBM in use", "%", lambda o: 100 * o.hbm_bytes / bandwidth),
            _counter(taken, starts, now, "arithmetic in use", "%", lambda o: 100 * o.flops / peak),
        ),
        critical=tuple(spans),
        layers=0,
        simulated=0,
    )


def _causes(operator: OperatorTime, start: float) -> list[TimelineEvent]:
    causes = by_cause(operator)
    fixed = [cause for cause in causes if cause in _FIXED]
    now, events = start, list[TimelineEvent]()
    for cause in [*fixed, *(cause for cause in causes if cause not in _FIXED)]:
        end = now + causes[cause]
        events.append(_event(operator, cause, now, end))
        now = end
    return events


def _event(operator: OperatorTime, track: str, start: float, end: float) -> TimelineEvent:
    """A stretch of an operator; what work it did stands with the whole operator only."""
    whole = track == OPERATORS
    return TimelineEvent(
        track,
        operator.name,
        operator.group,
        -1,
        0,
        start,
        end,
        operator.flops if whole else 0.0,
        operator.hbm_bytes if whole else 0.0,
        operator.wire_bytes if whole else 0.0,
    )


def _counter(
    operators: list[OperatorTime],
    starts: list[float],
    end: float,
    name: str,
    unit: str,
    amount: Callable[[OperatorTime], float],
) -> Counter:
    values = [amount(operator) / operator.time for operator in operators]
    return Counter(name, unit, (*starts, end), (*values, 0.0))

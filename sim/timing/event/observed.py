"""The timeline of a simulated step: what every stream, engine, memory and link did, and how much of it."""

from collections.abc import Iterable, Sequence

from sim.timing.event.chip import MATRIX, VECTOR, Ran, Stage
from sim.timing.event.job import HBM
from sim.timing.event.program import Issue, Program
from sim.timing.event.simulation import Simulated
from sim.timing.timeline import Counter, CriticalSpan, StepTimeline, TimelineEvent

STREAMS = {"compute": "compute stream", "communication": "communication stream"}
HOST = "host"


def timeline(
    program: Program,
    simulated: Simulated,
    critical: Sequence[CriticalSpan],
    host: Sequence[CriticalSpan],
    layers: int,
) -> StepTimeline:
    """Everything that can be looked at.

    Args:
        critical: the device's part of the critical path; host: the host's, after it.
        layers: layers of the model.
    """
    events: list[TimelineEvent] = []
    for issue, ran in zip(program.issues, simulated.ran, strict=True):
        events.append(_event(issue, STREAMS[issue.job.lane], ran.start, ran.end))
        events += _work(issue, ran)
    events += [TimelineEvent(HOST, s.operator, s.group, -1, 0, s.start, s.end) for s in host]
    events.sort(key=lambda event: (event.start, event.end))
    tiers = [track for track in simulated.tracks if track not in (MATRIX, VECTOR, HBM)]
    counters = [
        _counter("HBM traffic", "B/s", ((e, e.hbm_bytes) for e in events if e.track == HBM)),
        *(
            _counter(f"{tier} traffic", "B/s", ((e, e.wire_bytes) for e in events if e.track == tier))
            for tier in tiers
        ),
        _counter("matrix engines", "FLOP/s", ((e, e.flops) for e in events if e.track == MATRIX)),
    ]
    simulated_layers = len({issue.layer for issue in program.issues if issue.layer >= 0})
    tracks = (*STREAMS.values(), *simulated.tracks, HOST)
    return StepTimeline(tracks, tuple(events), tuple(counters), (*critical, *host), layers, simulated_layers)


def _work(issue: Issue, ran: Ran) -> Iterable[TimelineEvent]:
    """What the job did on engines, HBM and links; slices without a gap between them are one event."""
    job = issue.job
    on = {
        track: sum(stage.work for stages in ran.stages for stage in stages if stage.track == track)
        for track in (MATRIX, VECTOR, HBM)
    }
    arithmetic = on[MATRIX] or on[VECTOR]
    for stages in ran.stages:
        for stage in stages:
            whole = len(stage.begin)
            for start, end, slices in _runs(stage):
                part = slices / whole
                if job.transfer is not None:
                    wire = job.wire_bytes * job.transfer.shares[stage.track] * part
                    hbm, wire = (2.0 * job.wire_bytes * part, 0.0) if stage.track == HBM else (0.0, wire)
                    yield _event(issue, stage.track, start, end, 0.0, hbm, wire)
                elif stage.track == HBM:
                    yield _event(issue, HBM, start, end, 0.0, job.hbm_bytes * part * stage.work / on[HBM])
                else:
                    counts = stage.track == MATRIX or not on[MATRIX]
                    flops = job.flops * part * stage.work / arithmetic if counts else 0.0
                    yield _event(issue, stage.track, start, end, flops)


def _runs(stage: Stage) -> Iterable[tuple[float, float, int]]:
    """(start, end, slices) of stretches without a gap."""
    first = 0
    for i in range(1, len(stage.begin) + 1):
        if i == len(stage.begin) or stage.begin[i] > stage.end[i - 1]:
            yield stage.begin[first], stage.end[i - 1], i - first
            first = i


def _event(
    issue: Issue,
    track: str,
    start: float,
    end: float,
    flops: float = 0.0,
    hbm_bytes: float = 0.0,
    wire_bytes: float = 0.0,
) -> TimelineEvent:
    job = issue.job
    return TimelineEvent(
        track, job.operator, job.group, issue.layer, issue.batch, start, end, flops, hbm_bytes, wire_bytes
    )


def _counter(name: str, unit: str, amounts: Iterable[tuple[TimelineEvent, float]]) -> Counter:
    """Each event's amount spread evenly over its time, added up."""
    changes: dict[float, float] = {0.0: 0.0}
    for event, amount in amounts:
        if amount > 0.0 and event.end > event.start:
            rate = amount / (event.end - event.start)
            changes[event.start] = changes.get(event.start, 0.0) + rate
            changes[event.end] = changes.get(event.end, 0.0) - rate
    times = sorted(changes)
    values: list[float] = []
    level = 0.0
    for time in times:
        level += changes[time]
        values.append(max(level, 0.0))
    return Counter(name, unit, tuple(times), tuple(values))

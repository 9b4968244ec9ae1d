"""One explained step as a trace: tracks of operators, engines, memory and links, counters of their rates."""

from pathlib import Path

from sim import documents
from sim.deployment import arithmetic_type
from sim.report.trace_events import Trace, Value
from sim.scenario.explanation import Explanation
from sim.timing.laid_out import laid_out
from sim.timing.timeline import StepTimeline, TimelineEvent
from sim.version import __version__


def write_step_trace(explanation: Explanation, path: Path) -> None:
    """Writes the step's timeline: the simulated one where the fidelity has one, else operators end to end.

    Raises:
        UserError: where the file cannot be written.
    """
    documents.write_text(path, step_trace(explanation).text())


def step_trace(explanation: Explanation) -> Trace:
    """The step's timeline as trace events."""
    step = explanation.step
    timeline = step.timeline or _laid_out(explanation)
    trace = Trace(
        {
            "made_by": f"bandwall {__version__}",
            "scenario": explanation.scenario.name,
            "fidelity": explanation.scenario.spec.fidelity,
            "step_s": step.total,
            "shown_s": timeline.end,
            "layers": timeline.layers,
            "layers_shown": timeline.simulated,
        }
    )
    _add(trace, timeline, f"step of {explanation.deployment.model.name}, slowest chip")
    return trace


def _laid_out(explanation: Explanation) -> StepTimeline:
    chip, precision = explanation.deployment.cluster.chip, explanation.deployment.precision
    peak = chip.peak(arithmetic_type(precision.weights, precision.activations))
    return laid_out(explanation.step, peak, chip.memory.bandwidth)


def _add(trace: Trace, timeline: StepTimeline, name: str) -> None:
    process = trace.process(name)
    lanes = {track: trace.thread(process, track) for track in timeline.tracks}
    taken: dict[str, list[float]] = {track: [0.0] for track in timeline.tracks}
    for event in sorted(timeline.events, key=lambda event: (event.start, -event.end)):
        lane = _lane(taken[event.track], event)
        thread = lanes[event.track] if not lane else trace.thread(process, f"{event.track} ({lane + 1})")
        trace.slice(process, thread, event.operator, event.start, event.end, event.group, _args(event))
    for counter in timeline.counters:
        for time, value in zip(counter.times, counter.values, strict=True):
            trace.count(process, f"{counter.name}, {counter.unit}", time, value)


def _lane(ends: list[float], event: TimelineEvent) -> int:
    """The first free lane of a track: its stretches may overlap, slices of one thread must not."""
    for lane, end in enumerate(ends):
        if event.start >= end - 1e-15:
            ends[lane] = event.end
            return lane
    ends.append(event.end)
    return len(ends) - 1


def _args(event: TimelineEvent) -> dict[str, Value]:
    args: dict[str, Value] = {}
    if event.layer >= 0:
        args["layer"] = event.layer
    if event.batch:
        args["batch"] = event.batch
    for name in ("flops", "hbm_bytes", "wire_bytes"):
        amount: float = getattr(event, name)
        if amount:
            args[name] = amount
    return args

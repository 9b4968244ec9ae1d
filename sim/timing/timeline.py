"""What an event-level step looks like: who worked when on what, and which of it the step waited for.

Times are seconds from the step's start. Layers that repeat are simulated a few times and then counted: the
events hold what was simulated, and a `CriticalSpan` says how often its stretch of time counts, so that
    step time = Σ spans (end − start) · times
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sim.timing.timer import Bound


@dataclass(frozen=True, slots=True)
class TimelineEvent:
    """One stretch of work of one operator on one track.

    Attributes:
        track: where, one of `StepTimeline.tracks`; operator, group: as in the step's breakdown.
        layer: index of the layer in the model, -1 outside the layers; batch: micro-batch of a two-batch
            step, else 0.
        start, end: s; flops, hbm_bytes, wire_bytes: what of the operator's work this stretch did.
    """

    track: str
    operator: str
    group: str
    layer: int
    batch: int
    start: float
    end: float
    flops: float = 0.0
    hbm_bytes: float = 0.0
    wire_bytes: float = 0.0


@dataclass(frozen=True, slots=True)
class Counter:
    """A quantity over time: `values[i]` from `times[i]` to `times[i + 1]`, the last one to the end."""

    name: str
    unit: str
    times: tuple[float, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class CriticalSpan:
    """A stretch of the critical path: in it the step waited for this operator and nothing else.

    Attributes:
        start, end: s; the spans of a step follow one another without gap from 0 to the last end.
        times: how often the stretch counts in the step (repeated layers, of which only some are simulated).
        parts: s by resource of one such stretch, summing to end − start.
    """

    operator: str
    group: str
    layer: int
    batch: int
    start: float
    end: float
    times: int
    parts: Mapping[Bound, float]


@dataclass(frozen=True, slots=True)
class StepTimeline:
    """A simulated step.

    Attributes:
        tracks: names of the tracks in the order to show them: streams, engines, HBM, links, host.
        events: by start; counters: rates and utilisations; critical: the critical path, by start.
        layers: layers of the model; simulated: those of them that the events show.
    """

    tracks: tuple[str, ...]
    events: tuple[TimelineEvent, ...]
    counters: tuple[Counter, ...]
    critical: tuple[CriticalSpan, ...]
    layers: int
    simulated: int

    @property
    def end(self) -> float:
        """Seconds shown."""
        return max((event.end for event in self.events), default=0.0)

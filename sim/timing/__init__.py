"""How long an operator and a step take: the timers of all fidelities, and the surface engines ask."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sim.deployment.deployment import Deployment
from sim.timing.separated import SeparatedTimer
from sim.timing.step_timer import Fidelity, PartsTimer
from sim.timing.surface import StepSurface
from sim.timing.timeline import Counter, CriticalSpan, StepTimeline, TimelineEvent
from sim.timing.timer import CALM, Conditions, OperatorTime, StepBreakdown, StepTimer

if TYPE_CHECKING:
    from sim.timing.measured.tables import Measured


def make_timer(
    deployment: Deployment,
    fidelity: Fidelity = "analytic",
    whole_model: bool = False,
    tables: "Sequence[Measured]" = (),
) -> PartsTimer:
    """The timer of a deployment's steps: "roofline" (speed of light), "analytic" (mechanistic), "event"
    (simulated; `whole_model` for every layer, also where layers repeat) or "tables" (analytic, corrected by
    measured `tables`)."""
    if fidelity == "tables":
        from sim.timing.measured.timer import TablesTimer

        return TablesTimer(deployment, tables)
    if fidelity == "event":
        from sim.timing.event import EventTimer  # simpy with it

        return EventTimer(deployment, whole_model)
    if deployment.parallel.ffn is not None:
        return SeparatedTimer(deployment, fidelity)
    return PartsTimer(deployment, fidelity)


__all__ = [
    "CALM",
    "Conditions",
    "Counter",
    "CriticalSpan",
    "Fidelity",
    "OperatorTime",
    "PartsTimer",
    "StepBreakdown",
    "StepSurface",
    "StepTimeline",
    "StepTimer",
    "TimelineEvent",
    "make_timer",
]

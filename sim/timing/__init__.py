"""How long an operator and a step take: roofline, analytic and event timers, and the surface engines ask."""

from sim.deployment.deployment import Deployment
from sim.timing.step_timer import Fidelity, PartsTimer
from sim.timing.surface import StepSurface
from sim.timing.timeline import Counter, CriticalSpan, StepTimeline, TimelineEvent
from sim.timing.timer import CALM, Conditions, OperatorTime, StepBreakdown, StepTimer


def make_timer(
    deployment: Deployment, fidelity: Fidelity = "analytic", whole_model: bool = False
) -> PartsTimer:
    """The timer of a deployment's steps: "roofline" (speed of light), "analytic" (mechanistic) or "event"
    (simulated; `whole_model` for every layer, also where layers repeat)."""
    if fidelity == "event":
        from sim.timing.event import EventTimer  # simpy with it

        return EventTimer(deployment, whole_model)
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

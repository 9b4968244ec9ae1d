"""Step-level cases: one scheduler step of stated composition, priced without a run.

step = prefill_requests chunks of prefill_tokens / prefill_requests new tokens after
       prefill_kv_tokens / prefill_requests cached ones, beside decode_requests with a mean context of
       mean_decode_kv_tokens, their new token on top
"""

from collections.abc import Mapping
from typing import cast

from sim.operators import BatchShape
from sim.scenario.prepared import prepare
from sim.timing import make_timer
from sim.validation.serving.cases import MeasuredCase, as_number
from sim.validation.serving.scenario import BuiltCase

STEP_METRIC = "step_p50_ms"


def is_step(case: MeasuredCase) -> bool:
    """Whether the case is a step and not a run."""
    return STEP_METRIC in case.metrics and isinstance(case.workload.get("step"), dict)


def step_values(case: MeasuredCase, built: BuiltCase) -> dict[str, float]:
    """Milliseconds of the step under the name of its metric."""
    timer = make_timer(prepare(built.scenario).deployment, built.scenario.spec.fidelity)
    batch = step_shape(cast("Mapping[str, object]", case.workload["step"]), timer.windows)
    return {STEP_METRIC: 1e3 * float(timer.durations(batch)[0])}


def step_shape(step: Mapping[str, object], windows: tuple[int, ...]) -> BatchShape:
    """The batch that a step describes; chunks as even as whole tokens allow."""

    def number(name: str) -> int:
        return int(as_number(step.get(name)) or 0)

    decodes, prefills = number("decode_requests"), number("prefill_requests")
    context = 1 + (as_number(step.get("mean_decode_kv_tokens")) or 0.0)
    new, past = number("prefill_tokens"), number("prefill_kv_tokens")
    chunks = tuple((new // prefills + (i < new % prefills), past // prefills) for i in range(prefills))
    return BatchShape(
        decodes,
        round(decodes * context),
        tuple(round(decodes * min(window, context)) for window in windows),
        chunks,
    )

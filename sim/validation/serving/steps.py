"""Step-level cases: one scheduler step of stated composition, priced without a run.

step = prefill_requests chunks of prefill_tokens / prefill_requests new tokens after
       prefill_kv_tokens / prefill_requests cached ones, beside decode_requests with a mean context of
       mean_decode_kv_tokens, their new token on top

A decode phase alone is the step of batch_per_gpu sequences of every chip with half their answers written,
over and over:    output tokens/s = sequences / step
"""

from collections.abc import Mapping
from typing import cast

from sim.deployment import Deployment
from sim.operators import BatchShape
from sim.scenario.prepared import prepare
from sim.timing import StepTimer, make_timer
from sim.validation.serving.cases import MeasuredCase, as_number
from sim.validation.serving.measures import measure
from sim.validation.serving.phases import is_decode_alone
from sim.validation.serving.scenario import BuiltCase

STEP_METRIC = "step_p50_ms"


def is_step(case: MeasuredCase) -> bool:
    """Whether the case is a step and not a run."""
    if is_decode_alone(case):
        return True
    return STEP_METRIC in case.metrics and isinstance(case.workload.get("step"), dict)


def step_values(case: MeasuredCase, built: BuiltCase) -> dict[str, float]:
    """What the step comes to, under the names of the case's metrics."""
    deployment = prepare(built.scenario).deployment
    timer = make_timer(deployment, built.scenario.spec.fidelity)
    if is_decode_alone(case):
        return _decode_values(case, timer, deployment)
    batch = step_shape(cast("Mapping[str, object]", case.workload["step"]), timer.windows)
    return {STEP_METRIC: 1e3 * float(timer.durations(batch)[0])}


def _decode_values(case: MeasuredCase, timer: StepTimer, deployment: Deployment) -> dict[str, float]:
    parallel = deployment.parallel
    sequences = (case.count("batch_per_gpu") or 1) * parallel.chips // parallel.dp
    context = (case.number("isl") or 0.0) + (case.number("osl") or 0.0) / 2
    step = {"decode_requests": sequences, "mean_decode_kv_tokens": context}
    seconds = float(timer.durations(step_shape(step, timer.windows))[0])
    rate = sequences * parallel.dp * deployment.replicas / seconds
    values: dict[str, float] = {}
    for name in case.metrics:
        known = measure(name)
        if known is not None and known.what == "tpot":
            values[name] = 1e3 * seconds
        elif known is not None and known.what == "output_tps":
            values[name] = rate * known.per_chips / (case.devices or 1) if known.per_chips else rate
    return values


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

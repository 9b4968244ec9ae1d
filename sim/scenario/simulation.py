"""Simulating a scenario: requests through the engines of its deployment, and what that amounts to."""

import math
from dataclasses import dataclass
from pathlib import Path

from sim.deployment import Deployment, MemoryMap, arithmetic_type
from sim.errors import UserError
from sim.metrics import (
    Fleet,
    Header,
    Summary,
    request_time,
    sample_steps,
    summarise,
    time_breakdown,
    write_requests,
)
from sim.metrics.row_batch import RowBatches
from sim.metrics.sampled_steps import Duration
from sim.models.accounting import active_params
from sim.scenario.prepared import Prepared, prepare
from sim.scenario.scenario import Scenario
from sim.serving import serve
from sim.serving.records import RunResult
from sim.timing import PartsTimer, StepSurface, make_timer
from sim.timing.surface_protocol import Surface
from sim.workload import generate
from sim.workload.arrivals import ConstantRate, Gamma, Poisson, Process, Source, Synthetic, Trace
from sim.workload.requests import Requests


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to.

    Attributes:
        result: the run itself: requests, series, steps.
        summary: its metrics, where its time went, and the figures it rests on.
    """

    scenario: Scenario
    deployment: Deployment
    memory: MemoryMap
    result: RunResult
    summary: Summary

    def to_json(self) -> dict[str, object]:
        """The flat record, in the field names of vLLM's `bench serve`, ours beside them."""
        memory = self.memory
        return {"schema": 1} | self.summary.to_json() | {"kv_tokens_per_replica": memory.kv_tokens}

    def write_requests(self, path: Path) -> None:
        """Writes one row per request as .csv or .parquet.

        Raises:
            UserError: for another ending, without pyarrow for .parquet, where it cannot be written.
        """
        write_requests(self.result, path)


def simulate(scenario: Scenario) -> Outcome:
    """Serves the scenario's workload on its deployment. Same scenario, same bytes.

    Raises:
        UserError: for a layout that is impossible or does not fit, or a workload that cannot be read.
    """
    served = serve_scenario(scenario)
    prepared, requests, timer, result = served.prepared, served.requests, served.timer, served.result
    deployment, memory, spec = prepared.deployment, prepared.memory, scenario.spec
    batches = RowBatches(timer.windows, deployment.lockstep_ranks, deployment.queries)
    sampled = sample_steps(result, timer.breakdown, _decode_time(served.surface), batches)
    precision = deployment.precision
    summary = summarise(
        result,
        _header(deployment, spec.workload.arrivals, requests),
        slo=spec.slo,
        fleet=Fleet(
            deployment.cluster,
            arithmetic_type(precision.weights, precision.activations),
            active_params(deployment.model),
        ),
        breakdown=time_breakdown(result, sampled),
        request_time=request_time(result, sampled),
        assumptions=prepared.assumptions,
    )
    return Outcome(scenario, deployment, memory, result, summary)


def _decode_time(surface: Surface) -> Duration:
    """Seconds of a step of decodes alone, as the engine's surface prices it."""
    still = [0] * (1 + len(surface.windows))
    return lambda batch: surface.segment(batch.decodes, (batch.context, *batch.windowed), still)[0]


@dataclass(frozen=True, slots=True)
class Served:
    """A run before anything is said of it."""

    prepared: Prepared
    requests: Requests
    timer: PartsTimer
    surface: StepSurface
    result: RunResult


def serve_scenario(scenario: Scenario) -> Served:
    """Serves the scenario's workload on its deployment; errors as `simulate`."""
    prepared, spec = prepare(scenario), scenario.spec
    requests = _requests(scenario)
    timer = make_timer(prepared.deployment, spec.fidelity)
    surface = StepSurface(timer)
    result = serve(prepared.deployment, prepared.memory, requests, surface, spec.router, spec.seed)
    return Served(prepared, requests, timer, surface, result)


def _requests(scenario: Scenario) -> Requests:
    try:
        return generate(scenario.spec.workload, scenario.spec.seed, scenario.base)
    except UserError as error:
        field = str(error).partition(":")[0]
        if field.startswith("workload."):  # not about a trace, which has a name and lines of its own
            raise UserError(f"{scenario.place(field)}: {error}") from None
        raise


def _header(deployment: Deployment, arrivals: Process | Source, requests: Requests) -> Header:
    engine = deployment.engine
    return Header(
        model=deployment.model.name,
        backend=f"{engine.family} {engine.version}",
        request_rate=_offered_rate(arrivals, requests),
        burstiness=_burstiness(arrivals),
        max_concurrency=requests.concurrency,
        seats=engine.max_num_seqs * deployment.parallel.dp * deployment.replicas,
    )


def _offered_rate(arrivals: Process | Source, requests: Requests) -> float:
    """Requests/s as asked for, or as they come; infinite where all come at once or in a closed loop."""
    if isinstance(arrivals, Poisson | Gamma | ConstantRate | Trace | Synthetic) and arrivals.rate is not None:
        return arrivals.rate
    span = float(requests.arrival[-1] - requests.arrival[0])
    return (len(requests) - 1) / span if span > 0 else math.inf


def _burstiness(arrivals: Process | Source) -> float | None:
    """Shape of the gamma distribution of the gaps, where they have one."""
    if isinstance(arrivals, Poisson):
        return 1.0
    return arrivals.variation**-2 if isinstance(arrivals, Gamma) else None

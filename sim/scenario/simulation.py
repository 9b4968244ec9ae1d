"""Simulating a scenario: requests through the engines of its deployment, and what that amounts to."""

import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from sim.deployment import Deployment, MemoryMap
from sim.errors import UserError
from sim.hardware.throttle import throttled
from sim.metrics import (
    Header,
    PoolUse,
    RequestTime,
    Summary,
    TimeBreakdown,
    busy_power,
    request_time,
    summarise,
    write_requests,
)
from sim.scenario.disaggregation import pool_uses, serve_pools
from sim.scenario.measured import priced_by
from sim.scenario.power_limit import within_limit
from sim.scenario.prepared import Prepared, prepare
from sim.scenario.pricing import Priced, pool_use, priced, sampled
from sim.scenario.scenario import Scenario
from sim.scenario.service_class import slos_of, weights_of, with_classes
from sim.serving import serve
from sim.serving.disaggregated import PoolResults
from sim.serving.records import RunResult
from sim.units import TIME, show
from sim.workload import generate
from sim.workload.arrivals import ConstantRate, Gamma, Poisson, Synthetic, Trace
from sim.workload.arrivals.renewal import Policy
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
        tiers = [asdict(use) for use in self.result.kv_tiers]
        record = {"schema": 1} | self.summary.to_json() | {"kv_tokens_per_replica": self.memory.kv_tokens}
        return record | ({"kv_tiers": tiers} if tiers else {})

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
    prepared, requests = prepare(scenario), _requests(scenario)
    if prepared.prefill is not None and prepared.deployment.cluster.power_cap:
        raise UserError(f"{scenario.name}: cluster.power_cap: not yet with a pool of its own for prompts")

    def run_at(clock: float) -> tuple[Served, Uses]:
        served = _serve(scenario, prepared, requests, clock)
        return served, _uses(served)

    def power(run: tuple[Served, Uses]) -> float:
        own, *others = run[1][0]
        return 0.0 if others or own.breakdown is None else busy_power(own.fleet.cluster, own.breakdown)

    clocked = within_limit(prepared.deployment.cluster, run_at, power)
    served, (pools, breakdown, time) = clocked.run
    result, deployment, spec = _noted(served.result, clocked.clock), prepared.deployment, scenario.spec
    if prepared.tables and breakdown is not None:
        result = replace(result, notes=(*result.notes, priced_by(breakdown.by_source)))
    summary = summarise(
        result,
        _header(deployment, spec.workload.arrivals, requests),
        slo=spec.slo,
        client_slos=slos_of(spec.classes, requests.clients, spec.slo),
        pools=pools,
        breakdown=breakdown,
        request_time=time,
        assumptions=prepared.assumptions,
    )
    return Outcome(scenario, deployment, prepared.memory, result, summary)


@dataclass(frozen=True, slots=True)
class Served:
    """A run before anything is said of it.

    Attributes:
        own: the deployment with the prices of its steps; prefill: likewise, of a pool of its own for prompts.
        pools: the run by pool, None in one pool.
    """

    prepared: Prepared
    requests: Requests
    result: RunResult
    own: Priced
    prefill: Priced | None = None
    pools: PoolResults | None = None


def serve_scenario(scenario: Scenario) -> Served:
    """Serves the scenario's workload on its deployment at full clock; errors as `simulate`."""
    return _serve(scenario, prepare(scenario), _requests(scenario), 1.0)


def _serve(scenario: Scenario, prepared: Prepared, requests: Requests, clock: float) -> Served:
    """Args: clock: of the deployment's chips, as a share of the full one."""
    spec, deployment = scenario.spec, prepared.deployment
    deployment = replace(deployment, cluster=throttled(deployment.cluster, clock))
    own = priced(deployment, prepared.memory, spec.router, spec.fidelity, prepared.tables)
    if prepared.prefill is None:
        operation = prepared.operation
        if operation is not None:
            operation = replace(operation, client_weights=weights_of(spec.classes, requests.clients))
        result = serve(own.deployment, own.memory, requests, own.surface, spec.router, spec.seed, operation)
        result = replace(result, notes=(*result.notes, *_start(prepared)))
        return Served(prepared, requests, result, own)
    prompts = prepared.prefill
    prefill = priced(prompts.deployment, prompts.memory, prompts.router, spec.fidelity, prepared.tables)
    pools = serve_pools(own, prefill, prompts.transfer, requests, spec.seed)
    return Served(prepared, requests, pools.whole, own, prefill, pools)


Uses = tuple[tuple[PoolUse, ...], TimeBreakdown | None, RequestTime]


def _noted(result: RunResult, clock: float) -> RunResult:
    """The run with what its power limit did to it."""
    if clock == 1.0:
        return result
    said = f"The power limit holds the chips at {100 * clock:.0f} % of their clock."
    return replace(result, notes=(*result.notes, said))


def _uses(served: Served) -> Uses:
    """What the chips of each pool did, where their time went, and that of the requests."""
    if served.pools is None or served.prefill is None:
        steps = sampled(served.result, served.own)
        use = pool_use(served.result, served.own, steps)
        return (use,), use.breakdown, request_time(served.result, steps)
    return pool_uses(served.pools, served.own, served.prefill)


def _start(prepared: Prepared) -> tuple[str, ...]:
    """What comes before the first request of a compiled model; a run begins after it."""
    startup = prepared.deployment.startup
    if startup is None:
        return ()
    weights = max(sum(stage.weights.values()) for stage in prepared.memory.stages)
    loading = show(weights / startup.load, TIME) if startup.load else "no time"
    return (
        f"Before it serves, compiling takes {startup.compile / 60:g} min, once, and loading "
        f"{weights / 1e9:.1f} GB of weights per chip {loading}; neither is part of the run.",
    )


def _requests(scenario: Scenario) -> Requests:
    spec = scenario.spec
    try:
        requests = generate(spec.workload, spec.seed, scenario.base)
        return with_classes(requests, spec.classes, spec.seed)
    except UserError as error:
        field = str(error).partition(":")[0]
        if field.startswith(
            ("workload.", "classes")
        ):  # not about a trace, which has a name and lines of its own
            raise UserError(f"{scenario.place(field)}: {error}") from None
        raise


def _header(deployment: Deployment, arrivals: Policy, requests: Requests) -> Header:
    engine = deployment.engine
    return Header(
        model=deployment.model.name,
        backend=f"{engine.family} {engine.version}",
        request_rate=_offered_rate(arrivals, requests),
        burstiness=_burstiness(arrivals),
        max_concurrency=requests.concurrency,
        seats=engine.max_num_seqs * deployment.parallel.dp * deployment.replicas,
    )


def _offered_rate(arrivals: Policy, requests: Requests) -> float:
    """Requests/s as asked for, or as they come; infinite where all come at once or in a closed loop."""
    if isinstance(arrivals, Poisson | Gamma | ConstantRate | Trace | Synthetic) and arrivals.rate is not None:
        return arrivals.rate
    span = float(requests.arrival[-1] - requests.arrival[0])
    return (len(requests) - 1) / span if span > 0 else math.inf


def _burstiness(arrivals: Policy) -> float | None:
    """Shape of the gamma distribution of the gaps, where they have one."""
    if isinstance(arrivals, Poisson):
        return 1.0
    return arrivals.variation**-2 if isinstance(arrivals, Gamma) else None

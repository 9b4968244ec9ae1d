"""A group of replicas under its share of a country's load.

Under random splitting each of g groups sees every service thinned by 1/g: a Poisson stream stays one, at 1/g
of its rate, independent of the other groups. So one group stands for all, and costs 1/g to simulate.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim.documents import Document
from sim.metrics import TimeBreakdown
from sim.metrics.latency import Latencies, latencies
from sim.metrics.window import backlog
from sim.planning.national.schema import DAY, NationalSpec
from sim.scenario.prepared import prepare
from sim.scenario.pricing import pool_use, priced, sampled
from sim.scenario.resolved import Tree
from sim.scenario.scenario import Scenario, scenario_of
from sim.serving import serve
from sim.serving.operation.plan import Operation
from sim.serving.records import RequestTable, RunResult
from sim.workload import generate
from sim.workload.curves import Curve, PointsCurve, SinusoidCurve
from sim.workload.requests import Requests

PERCENTILE = 99


@dataclass(frozen=True, slots=True)
class Question:
    """A national question and the folder its paths start from."""

    spec: NationalSpec
    base: Path
    name: str

    def scenario(self, share: float, peak: float, seed: int, window: float) -> Scenario:
        """One replica under `share` of the country's load, around a time of day (s).

        Raises:
            UserError: for a scenario or a service that is wrong.
        """
        spec = self.spec
        start = (peak - window / 2) % DAY
        clients = [
            {
                "name": service.name,
                "arrivals": {
                    "process": "diurnal",
                    "rate": service.rate * share,
                    "curve": _written(service.curve),
                    "start": f"{start!r} s",
                    "cv": service.cv,
                },
                "prompt_tokens": service.prompt_tokens,
                "output_tokens": service.output_tokens,
                "prefix": service.prefix,
                "priority": {"values": [service.priority]},
            }
            for service in spec.services
        ]
        load: Tree = {
            "arrivals": {"process": "clients", "clients": clients},
            "duration": f"{window!r} s",
        }
        tree: Tree = {**spec.scenario, "workload": load, "seed": seed}
        return scenario_of(Document(self.name, tree), self.base)


def _written(curve: Curve) -> dict[str, object]:
    """A curve as a user writes it, with units."""
    tree: dict[str, object] = curve.model_dump()
    if isinstance(curve, PointsCurve):
        tree["times"] = [f"{time!r} s" for time in curve.times]
    if isinstance(curve, SinusoidCurve):
        tree["peak"] = f"{curve.peak!r} s"
    return tree


class Fleet:
    """Replicas of the question's deployment, as many as are asked for; their steps are priced once."""

    def __init__(self, scenario: Scenario) -> None:
        prepared, spec = prepare(scenario), scenario.spec
        router, tables = spec.router, prepared.tables
        self.memory = prepared.memory
        self.priced = priced(prepared.deployment, prepared.memory, router, spec.fidelity, tables)
        self.cluster = prepared.deployment.cluster

    def serve(
        self, requests: Requests, replicas: int, seed: int, operation: Operation | None = None
    ) -> RunResult:
        """The requests on so many replicas behind the router."""
        deployment, of = replace(self.priced.deployment, replicas=replicas), self.priced
        return serve(deployment, self.memory, requests, of.surface, of.router, seed, operation)

    def used(self, result: RunResult) -> TimeBreakdown | None:
        """What the chips did in a run."""
        return pool_use(result, self.priced, sampled(result, self.priced)).breakdown


@dataclass(frozen=True, slots=True)
class Tried:
    """One run of a group.

    Attributes:
        meets: every service met its bounds and the queue did not grow.
        attained: by service; p99: by service, s, of (TTFT, TPOT, E2EL).
    """

    meets: bool
    attained: dict[str, float]
    p99: dict[str, tuple[float, float, float]]
    result: RunResult


def tried(question: Question, fleet: Fleet, scenario: Scenario, replicas: int) -> Tried:
    """Runs a group on the scenario's load; judged on the requests that arrive in the middle of the window."""
    requests = generate(scenario.spec.workload, scenario.spec.seed, scenario.base)
    result = fleet.serve(requests, replicas, scenario.spec.seed)
    found, judged = latencies(result.requests), middle(result.requests)
    attained: dict[str, float] = {}
    p99: dict[str, tuple[float, float, float]] = {}
    meets = not backlog(result).saturated
    for place, service in enumerate(question.spec.services):
        mine = judged & (result.requests.client == place)
        if not mine.any():
            continue
        attained[service.name] = float(service.slo.met(found)[mine].mean())
        p99[service.name] = percentiles(found, mine)
        meets &= attained[service.name] >= service.slo.attainment
    return Tried(meets, attained, p99, result)


def middle(table: RequestTable) -> NDArray[np.bool_]:
    """The arrivals between a fifth and four fifths of the time: neither filling nor draining."""
    first, last = float(table.arrival.min()), float(table.arrival.max())
    span = last - first
    return (table.arrival >= first + 0.2 * span) & (table.arrival <= first + 0.8 * span)


def percentiles(found: Latencies, chosen: NDArray[np.bool_]) -> tuple[float, float, float]:
    """99th percentiles (s) of TTFT, TPOT and E2EL of the chosen requests; NaN where none has any."""
    columns = (column[chosen] for column in (found.ttft, found.tpot, found.e2el))
    known = [column[np.isfinite(column)] for column in columns]
    ttft, tpot, e2el = (float(np.percentile(c, PERCENTILE)) if len(c) else float("nan") for c in known)
    return ttft, tpot, e2el

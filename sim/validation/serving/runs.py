"""Running one case, and the load at which its configuration saturates.

A run keeps up if, in the second half of the time in which requests arrive, it ends as many as come:

    ended in (t/2, t] ≥ 0.95 · arrived in (t/2, t],     t: the last arrival

Saturation. The same deployment and lengths in a closed loop with as many requests as it has seats or KV cache
for: output tokens/s over the middle half of that run. The regime of a case is its own output tokens/s as a
share of it:  low < 0.5 ≤ middle < 0.8 ≤ near_saturation.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np

from sim.documents import Document
from sim.metrics.intertoken import gap_statistics, gaps
from sim.scenario.scenario import scenario_of
from sim.scenario.simulation import Served, serve_scenario
from sim.serving.records import RunResult
from sim.validation.serving.cases import MeasuredCase
from sim.validation.serving.measures import simulated
from sim.validation.serving.scenario import BuiltCase

Regime = Literal["low", "middle", "near_saturation"]
Tree = dict[str, object]
_LOW, _NEAR = 0.5, 0.8
_KEPT_UP = 0.95
_MOST_SEATS = 2048
_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class CaseRun:
    """A case that ran: simulated values by the names of its metrics, and the run itself."""

    values: Mapping[str, float]
    served: Served


def run_case(case: MeasuredCase, built: BuiltCase) -> CaseRun:
    """Serves the case's scenario.

    Raises:
        UserError: where the deployment is impossible or does not fit.
    """
    served = serve_scenario(built.scenario)
    result = served.result
    itl = gap_statistics(gaps(result)).fields("itl")
    values = simulated(case, result, itl, built.replicas)
    if "duration_s" in values:  # what was left out of a long run would have taken as long per request
        values["duration_s"] /= built.share
    return CaseRun(values, served)


def regime(run: RunResult, saturation: float) -> Regime:
    """How near a run was to the output tokens/s at which its configuration saturates."""
    done = np.isfinite(run.requests.finish)
    own = float(run.requests.output_tokens[done].sum()) / run.duration if run.duration > 0 else 0.0
    load = own / saturation if saturation > 0 else 1.0
    return "low" if load < _LOW else "middle" if load < _NEAR else "near_saturation"


def keeps_up(run: RunResult) -> bool:
    """Whether an open run ends what arrives."""
    requests = run.requests
    last = float(requests.arrival.max())
    came = np.count_nonzero(requests.arrival > last / 2)
    ended = np.count_nonzero((requests.finish > last / 2) & (requests.finish <= last))
    return bool(ended >= _KEPT_UP * came)


def saturation(built: BuiltCase, served: Served) -> float:
    """Output tokens/s of a replica whose seats or KV cache are full."""
    deployment, requests = served.prepared.deployment, served.requests
    mean = float((requests.prompt_tokens + requests.output_tokens).mean())
    seats = deployment.engine.max_num_seqs * deployment.parallel.dp
    seats = int(max(1, min(seats, served.prepared.memory.kv_tokens / mean, _MOST_SEATS)))
    tree = built.scenario.tree
    workload = dict(cast("Tree", tree["workload"]))
    arrivals = cast("Tree", workload["arrivals"])
    if arrivals["process"] == "trace":
        workload["arrivals"] = {"process": "trace", "path": arrivals["path"], "concurrency": seats}
    else:
        workload["arrivals"] = {"process": "closed", "concurrency": seats}
        workload["num_requests"] = _ROUNDS * seats
    full = scenario_of(Document(built.scenario.name, tree | {"workload": workload}), built.scenario.base)
    rate = serve_scenario(full).result.series.output_rate
    quarter = len(rate) // 4
    return float(rate[quarter : len(rate) - quarter].mean())

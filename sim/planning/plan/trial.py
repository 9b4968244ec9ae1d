"""One replica under its share of the load: whether it meets what is asked, and what it came to.

A trial is judged on the steady part of its run where it has one, otherwise on the whole of it; a run whose
queue grows fails whatever its latencies are.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

from sim.planning.evaluate import Task, evaluate, scenario_of
from sim.planning.identity import canonical

Record = Mapping[str, object]
IN_FLIGHT_TIMES = 4.0
"""A run has at least so many times as many requests as are under way at once."""


@dataclass(frozen=True, slots=True)
class Replica:
    """A replica to be tried.

    Attributes:
        task: its scenario, at any rate.
        percentiles: bounds such as p99_ttft, s.
        requests: of one run, at least; residence: s that a request stays, for the length of a run.
    """

    task: Task
    percentiles: Mapping[str, float]
    requests: int
    residence: float


@dataclass(frozen=True, slots=True)
class Trial:
    """One run at `rate` requests/s; `meets` what was asked."""

    rate: float
    seed: int
    meets: bool
    record: Record


def attempt(replica: Replica, rate: float, seed: int) -> Trial:
    """Runs the replica once.

    Raises:
        UserError: never for a layout that is impossible; such a trial does not meet anything.
    """
    count = max(replica.requests, math.ceil(IN_FLIGHT_TIMES * rate * replica.residence))
    sets = [f"workload.arrivals.rate={rate!r}", f"workload.num_requests={count}", f"seed={seed}"]
    scenario = scenario_of(replica.task).changed([*sets, "workload.duration=null"])
    task = Task(replica.task.key, canonical(scenario.tree), replica.task.base, replica.task.name)
    finished = evaluate(task)
    record: dict[str, object] = json.loads(finished.record)
    meets = finished.status == "done" and _meets(record, replica.percentiles)
    return Trial(rate, seed, meets, record)


def measured(record: Record, name: str) -> float | None:
    """A field over the steady part where the run has one."""
    value = record.get(f"steady_{name}") if record.get("steady_start") is not None else None
    value = record.get(name) if value is None else value
    return float(value) if isinstance(value, int | float) else None


def _meets(record: Record, percentiles: Mapping[str, float]) -> bool:
    if record.get("saturated") or not record.get("completed"):
        return False
    steady = record.get("steady_meets_slo") if record.get("steady_start") is not None else None
    asked = record.get("meets_slo") if steady is None else steady
    if asked is False:
        return False
    for name, bound in percentiles.items():
        found = measured(record, f"{name}_ms")
        if found is None or found > 1e3 * bound:
            return False
    return True

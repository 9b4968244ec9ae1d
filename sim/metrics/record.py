"""What a run's record is: the flat fields, what was asked, and how it is written as JSON."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from sim.figures import Assumption
from sim.metrics.bottleneck import TimeBreakdown
from sim.metrics.request_time import LatencyParts, RequestTime
from sim.metrics.window import Backlog, Window

Value = str | float | int | bool | None


@dataclass(frozen=True, slots=True)
class Header:
    """What a run was asked to do, as it stands at the head of its record.

    Attributes:
        model: catalogue name or title; backend: engine family and version.
        request_rate: mean offered requests/s; inf for closed loop or all at once.
        burstiness: gamma shape of the gaps between arrivals (1: Poisson); None where it has no meaning.
        max_concurrency: closed-loop limit, None for open arrivals.
        seats: max_num_seqs of all attention-dp ranks of all replicas together.
    """

    model: str
    backend: str
    request_rate: float
    burstiness: float | None
    max_concurrency: int | None
    seats: int


@dataclass(frozen=True, slots=True)
class Summary:
    """The record of a run.

    Attributes:
        values: the flat fields, in the order they are written.
        clients: the latency and goodput fields of each client, where there are several.
        window: the steady part, None if the run has none.
        steady: the run has a steady part and settled; latencies of one that is not steady depend on how long
            it was.
        breakdown: where the time went, if steps were priced; request_time: where that of requests went.
        assumptions: every figure the result rests on.
    """

    values: Mapping[str, Value]
    clients: Mapping[str, Mapping[str, Value]]
    window: Window | None
    backlog: Backlog
    steady: bool
    breakdown: TimeBreakdown | None
    request_time: RequestTime | None
    assumptions: tuple[Assumption, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """The record as JSON has it: NaN becomes null and infinity the string "inf"."""
        record: dict[str, object] = {name: _plain(value) for name, value in self.values.items()}
        if self.clients:
            record["clients"] = {
                client: {name: _plain(value) for name, value in values.items()}
                for client, values in self.clients.items()
            }
        if self.breakdown is not None:
            record["time_by_resource"] = dict(self.breakdown.by_resource)
            record["time_by_cause"] = dict(self.breakdown.by_cause)
            record["time_by_operator_group"] = self.breakdown.by_group
        if self.request_time is not None:
            for name in ("ttft", "tpot"):
                parts: LatencyParts | None = getattr(self.request_time, name)
                record[f"mean_{name}_parts_ms"] = None if parts is None else parts.to_json()
        record["notes"] = list(self.notes)
        record["assumptions"] = [
            {"path": a.path, "value": a.text, "basis": a.basis, "source": a.source} for a in self.assumptions
        ]
        return record


def _plain(value: Value) -> Value:
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else "inf"
    return value

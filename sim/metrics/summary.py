"""One run in one flat record: vLLM's `bench serve` field names first, ours beside them.

docs/metrics.md defines every field. Fields are always all there; what cannot be said of a run is null.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from sim.figures import Assumption
from sim.metrics.admission import waiting_for
from sim.metrics.bottleneck import TimeBreakdown
from sim.metrics.fleet import Fleet, PoolUse, cost, utilisation
from sim.metrics.intertoken import gap_statistics, gaps
from sim.metrics.latency import Latencies, latencies, statistics
from sim.metrics.operation import operation_fields
from sim.metrics.power import FIELDS, energy
from sim.metrics.record import Header, Summary, Value
from sim.metrics.request_time import RequestTime
from sim.metrics.slo import Objectives, SloSpec
from sim.metrics.window import Backlog, Window, backlog, steady_window, tokens_between
from sim.serving.records import FINISHED, REJECTED, RequestTable, RunResult
from sim.version import __version__


def summarise(
    result: RunResult,
    header: Header,
    *,
    slo: SloSpec | None = None,
    client_slos: Sequence[SloSpec | None] = (),
    fleet: Fleet | None = None,
    breakdown: TimeBreakdown | None = None,
    request_time: RequestTime | None = None,
    pools: Sequence[PoolUse] = (),
    assumptions: tuple[Assumption, ...] = (),
) -> Summary:
    """Every metric of a run.

    Args:
        slo: bounds; without one, goodput and attainment are null.
        client_slos: the bounds of each client, where they have their own.
        fleet: chips and model, for utilisation, cost and energy; without it these are null.
        pools: instead of `fleet`, where there are chips of several kinds.
        breakdown: of `time_breakdown`, for `bound_by`, MBU and energy; request_time: of the function of that
            name.
    """
    requests = result.requests
    per_request = latencies(requests)
    objectives = Objectives(slo, tuple(client_slos))
    met = objectives.met(per_request, requests.client)
    everyone = np.ones(len(requests.arrival), np.bool_)
    window, trend = steady_window(result), backlog(result)
    steady = window is not None and trend.settled
    values = _identity(result, header) | _throughput(requests, per_request, met, result.duration)
    values |= _latency_fields(per_request, None) | gap_statistics(gaps(result)).fields("itl")
    values |= _attainment(met, everyone, objectives, requests.client)
    values |= _steady_fields(result, per_request, met, objectives, window)
    if fleet is not None:
        pools = (PoolUse(result, fleet, breakdown),)
    values |= _fleet_fields(result, values, pools)
    values |= _service_fields(result, header, trend, window, steady)
    values |= _bound_fields(breakdown) | operation_fields(result)
    return Summary(
        values=values,
        clients=_clients(result, per_request, met, objectives),
        window=window,
        backlog=trend,
        steady=steady,
        breakdown=breakdown,
        request_time=request_time,
        assumptions=assumptions,
        notes=(*result.notes, *_remarks(result, trend, window)),
    )


def _identity(result: RunResult, header: Header) -> dict[str, Value]:
    requests = result.requests
    return {
        "version": __version__,
        "date": None,  # a record is the same whenever it is made
        "backend": header.backend,
        "model_id": header.model,
        "tokenizer_id": None,
        "num_prompts": len(requests.arrival),
        "request_rate": header.request_rate,
        "burstiness": header.burstiness,
        "max_concurrency": header.max_concurrency,
        "duration": result.duration,
    }


def _throughput(
    requests: RequestTable, per_request: Latencies, met: NDArray[np.bool_] | None, duration: float
) -> dict[str, Value]:
    done = per_request.finished
    completed = int(np.count_nonzero(done))
    prompt, output = int(requests.prompt_tokens[done].sum()), int(requests.output_tokens[done].sum())
    good = None if met is None else int(np.count_nonzero(met))
    return {
        "completed": completed,
        "failed": len(done) - completed,
        "rejected": int(np.count_nonzero(requests.status == REJECTED)),
        "total_input_tokens": prompt,
        "total_output_tokens": output,
        "request_throughput": _per(completed, duration),
        "request_goodput": _per(good, duration),
        "output_throughput": _per(output, duration),
        "total_token_throughput": _per(prompt + output, duration),
    }


def _latency_fields(per_request: Latencies, chosen: NDArray[np.bool_] | None) -> dict[str, Value]:
    fields: dict[str, Value] = {}
    for name, column in (("ttft", per_request.ttft), ("tpot", per_request.tpot), ("e2el", per_request.e2el)):
        fields |= statistics(column if chosen is None else column[chosen]).fields(name)
    return fields


def _attainment(
    met: NDArray[np.bool_] | None,
    chosen: NDArray[np.bool_],
    objectives: Objectives,
    client: NDArray[np.int64],
) -> dict[str, Value]:
    """The share of the chosen arrivals that met their bounds; whether that is enough, for every client."""
    if met is None or not chosen.any():
        return {"slo_attainment": None, "meets_slo": None if met is None else False}
    attained = float(np.count_nonzero(met & chosen) / np.count_nonzero(chosen))
    return {"slo_attainment": attained, "meets_slo": objectives.attained(met, chosen, client)}


def _steady_fields(
    result: RunResult,
    per_request: Latencies,
    met: NDArray[np.bool_] | None,
    objectives: Objectives,
    window: Window | None,
) -> dict[str, Value]:
    """The twins of throughput and latency fields over the window; all null without one."""
    requests = result.requests
    window = window or Window(math.nan, math.nan)  # no request and no row lies in it
    start, end, length = window.start, window.end, window.length
    arrived = (requests.arrival >= start) & (requests.arrival <= end)
    left = per_request.finished & (requests.finish >= start) & (requests.finish < end)
    output, prompt = tokens_between(result, window)
    preempted = int(requests.preemptions.sum())
    share = float(requests.preemptions[arrived].sum()) / preempted if preempted else 0.0
    rows = (result.segments.start >= start) & (result.segments.start < end)
    fields: dict[str, Value] = {
        "request_throughput": _per(int(np.count_nonzero(left)), length),
        "request_goodput": None if met is None else _per(int(np.count_nonzero(met & left)), length),
        "output_throughput": _per(output, length),
        "total_token_throughput": _per(prompt + output, length),
    }
    fields |= _latency_fields(per_request, arrived)
    fields |= gap_statistics(gaps(result, rows, share)).fields("itl")
    fields |= _attainment(met if length > 0 else None, arrived, objectives, requests.client)
    return {f"steady_{name}": value for name, value in fields.items()}


def _fleet_fields(
    result: RunResult,
    values: Mapping[str, Value],
    pools: Sequence[PoolUse],
) -> dict[str, Value]:
    output = values["total_output_tokens"]
    tokens = output if isinstance(output, int) else 0
    mean_tpot_ms = values["mean_tpot_ms"]
    fields: dict[str, Value] = {
        "chips": result.chips,
        "replicas": result.replicas,
        "tokens_per_s_per_chip": _per(tokens, result.chip_seconds),
        "tokens_per_s_per_user": _per(1e3, mean_tpot_ms) if isinstance(mean_tpot_ms, float) else None,
    }
    if not pools:
        absent = ("mfu", "mbu", "usd", "usd_per_million_output_tokens")
        return fields | dict.fromkeys((*absent, *FIELDS))
    fields |= utilisation(result, pools)
    fields |= cost(result, pools, tokens)
    return fields | energy(result, pools, tokens)


def _service_fields(
    result: RunResult, header: Header, trend: Backlog, window: Window | None, steady: bool
) -> dict[str, Value]:
    requests, series = result.requests, result.series
    prompt = int(requests.prompt_tokens.sum())
    bins = len(series.time)
    waits = waiting_for(series, header.seats)
    return {
        "steps": result.steps,
        "mean_running": float(series.running.mean()) if bins else None,
        "mean_waiting": float(series.waiting.mean()) if bins else None,
        "max_waiting": float(series.waiting.max()) if bins else None,
        "kv_blocks": result.kv_blocks,
        "kv_peak": float(series.kv_used.max()) if bins else None,
        "preemptions": int(requests.preemptions.sum()),
        **_transfer_fields(requests),
        "cached_token_share": _per(int(requests.cached_tokens.sum()), prompt),
        **{f"waiting_for_{what}": share for what, share in waits.items()},
        "steady": steady,
        "saturated": trend.saturated,
        "backlog_growth_share": trend.share,
        "steady_start": None if window is None else window.start,
        "steady_end": None if window is None else window.end,
        "littles_law_ratio": trend.littles_law,
        "end_reason": result.end_reason,
    }


def _transfer_fields(requests: RequestTable) -> dict[str, Value]:
    """From a prefill's end to its cache in the decode engine; null without disaggregation."""
    moved = requests.kv_transfer[np.isfinite(requests.kv_transfer)]
    if not len(moved):
        return {"mean_kv_transfer_ms": None, "p99_kv_transfer_ms": None}
    return {
        "mean_kv_transfer_ms": 1e3 * float(moved.mean()),
        "p99_kv_transfer_ms": 1e3 * float(np.quantile(moved, 0.99)),
    }


def _bound_fields(breakdown: TimeBreakdown | None) -> dict[str, Value]:
    if breakdown is None:
        return dict.fromkeys(("bound_by", "busy_share", "speed_of_light_share"))
    return {
        "bound_by": breakdown.bound_by,
        "busy_share": breakdown.busy,
        "speed_of_light_share": breakdown.light,
    }


def _clients(
    result: RunResult, per_request: Latencies, met: NDArray[np.bool_] | None, objectives: Objectives
) -> dict[str, Mapping[str, Value]]:
    if len(result.clients) < 2:
        return {}
    clients: dict[str, Mapping[str, Value]] = {}
    for index, name in enumerate(result.clients):
        chosen = result.requests.client == index
        completed = int(np.count_nonzero(per_request.finished & chosen))
        good = None if met is None else int(np.count_nonzero(met & chosen))
        clients[name] = {
            "num_prompts": int(np.count_nonzero(chosen)),
            "completed": completed,
            "request_throughput": _per(completed, result.duration),
            "request_goodput": _per(good, result.duration),
            **_latency_fields(per_request, chosen),
            **_attainment(met, chosen, objectives, result.requests.client),
        }
    return clients


def _remarks(result: RunResult, trend: Backlog, window: Window | None) -> tuple[str, ...]:
    """What a reader must know before using the latencies."""
    if not (result.requests.status == FINISHED).any():
        return ("No request finished.",)
    remarks: list[str] = []
    growth = f"{100 * trend.share:.0f} per 100 arrivals"
    if trend.saturated:
        remarks.append(f"The queue grows by {growth}: latencies depend on how long the run was.")
    elif not trend.settled:
        remarks.append(f"The batch still grows by {growth} at the end: a longer run would be slower.")
    if window is None:
        remarks.append(
            "The run has no steady part: arrivals span less than it takes to fill and drain the service."
        )
    return tuple(remarks)


def _per(amount: float | None, whole: float) -> float | None:
    return amount / whole if amount is not None and whole > 0 else None

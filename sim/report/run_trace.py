"""A run as a trace: requests, steps of each engine, queue, KV cache and throughput over time.

Bounded in size: at most `MOST_REQUESTS` requests are shown, evenly picked, and neighbouring rows of steps of
an engine are merged until about `MOST_STEPS` slices are left. What was left out stands in the trace's
`otherData` and is what `write_run_trace` returns.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim import documents
from sim.report.trace_events import Trace, Value
from sim.scenario.simulation import Outcome
from sim.serving.records import FINISHED, RequestTable, RunResult
from sim.version import __version__

MOST_REQUESTS = 2_000
MOST_STEPS = 20_000


def write_run_trace(outcome: Outcome, path: Path) -> tuple[str, ...]:
    """Writes the run's timeline and returns sentences about what it leaves out.

    Raises:
        UserError: where the file cannot be written.
    """
    trace, thinned = run_trace(outcome.result)
    trace.about |= {"made_by": f"bandwall {__version__}", "scenario": outcome.scenario.name}
    documents.write_text(path, trace.text())
    return thinned


def run_trace(
    result: RunResult, most_requests: int = MOST_REQUESTS, most_steps: int = MOST_STEPS
) -> tuple[Trace, tuple[str, ...]]:
    """The run's timeline as trace events, and sentences about what it leaves out."""
    trace = Trace({"duration_s": result.duration, "end_reason": result.end_reason})
    _service(trace, result)
    thinned = [*_engines(trace, result, most_steps), *_requests(trace, result, most_requests)]
    if thinned:
        trace.about["thinned"] = " ".join(thinned)
    return trace, tuple(thinned)


def _service(trace: Trace, result: RunResult) -> None:
    """The binned state of the whole fleet."""
    process, series = trace.process("service"), result.series
    for name, column in (
        ("running requests", series.running),
        ("waiting requests", series.waiting),
        ("KV cache used, %", 100 * series.kv_used),
        ("output tokens/s", series.output_rate),
        ("prompt tokens/s", series.prompt_rate),
        ("mean step, ms", 1e3 * series.step_time),
    ):
        values: list[float] = column.tolist()
        for time, value in zip(series.time.tolist(), values, strict=True):
            trace.count(process, name, time, value)


def _engines(trace: Trace, result: RunResult, most: int) -> list[str]:
    """A process per replica with its steps, a slice per row or per group of neighbouring rows."""
    rows = result.segments
    group = max(1, -(-len(rows.start) // most))
    time = rows.time
    for replica in range(result.replicas):
        own = np.flatnonzero(rows.replica == replica)
        process = trace.process(f"replica {replica}")
        thread = trace.thread(process, "engine steps")
        for first in range(0, len(own), group):
            some = own[first : first + group]
            start, last = float(rows.start[some[0]]), some[-1]
            end = float(rows.start[last] + time[last])
            prompt, steps = int(rows.chunk_tokens[some].sum()), int(rows.steps[some].sum())
            args: dict[str, Value] = {
                "steps": steps,
                "decodes": round(float(rows.decodes[some].mean()), 1),
                "context_tokens": round(float(rows.context[some].mean()), 1),
                "prompt_tokens": prompt,
                "busy_s": float(time[some].sum()),
            }
            trace.slice(process, thread, "prefill" if prompt else "decode", start, end, "steps", args)
    if group == 1:
        return []
    return [f"Of {len(rows.start):,} rows of engine steps, {group} neighbours each are one slice."]


def _requests(trace: Trace, result: RunResult, most: int) -> list[str]:
    """Each request with its phases, on as few lanes per replica as do without overlap."""
    table = result.requests
    shown = np.flatnonzero((table.status == FINISHED) & np.isfinite(table.finish))
    every = max(1, -(-len(shown) // most))
    lost = _recomputes(result)
    for replica in range(result.replicas):
        chosen = [r for r in shown[::every].tolist() if table.replica[r] == replica]
        process = trace.process(f"requests of replica {replica}")
        ends: list[float] = []
        for request in sorted(chosen, key=lambda r: (float(table.arrival[r]), r)):
            lane = _lane(ends, float(table.arrival[request]), float(table.finish[request]))
            _request(trace, process, lane, table, request, lost.get(request, ()))
    left = len(table.arrival) - len(shown)
    thinned = (
        [f"{left:,} of {len(table.arrival):,} requests did not finish and are not shown."] if left else []
    )
    if every > 1:
        thinned.append(f"Of {len(shown):,} finished requests, one in {every} is shown.")
    return thinned


def _recomputes(result: RunResult) -> dict[int, list[tuple[float, float]]]:
    lost: dict[int, list[tuple[float, float]]] = {}
    columns: list[NDArray[np.float64] | NDArray[np.int64]] = [
        result.recomputes.request,
        result.recomputes.start,
        result.recomputes.end,
    ]
    for request, start, end in zip(*(column.tolist() for column in columns), strict=True):
        lost.setdefault(int(request), []).append((start, end))
    return lost


def _lane(ends: list[float], start: float, end: float) -> int:
    """The first lane that is free from `start` to `end`."""
    for lane, until in enumerate(ends):
        if until <= start:
            ends[lane] = end
            return lane
    ends.append(end)
    return len(ends) - 1


def _request(
    trace: Trace,
    process: int,
    lane: int,
    table: RequestTable,
    request: int,
    lost: Sequence[tuple[float, float]],
) -> None:
    thread = trace.thread(process, f"lane {lane}")
    phases = _phases(table, request)
    args: dict[str, Value] = {
        "prompt_tokens": int(table.prompt_tokens[request]),
        "output_tokens": int(table.output_tokens[request]),
        "cached_tokens": int(table.cached_tokens[request]),
    }
    arrival, finish = float(table.arrival[request]), float(table.finish[request])
    trace.slice(process, thread, f"request {request}", arrival, finish, "requests", args)
    for name, start, end in phases:
        trace.slice(process, thread, name, start, end, "phases")
        for since, until in lost:
            if start <= since and until <= end:
                trace.slice(process, thread, "preempted", since, until, "phases")


def _phases(table: RequestTable, request: int) -> list[tuple[str, float, float]]:
    """(name, start, end) of what a finished request went through, without gap from arrival to finish."""
    moved = len(table.prefilled) > 0 and bool(np.isfinite(table.kv_transfer[request]))
    ends = [("front_end", float(table.received[request])), ("queueing", float(table.scheduled[request]))]
    if len(table.submitted):
        ends.insert(0, ("gateway", float(table.submitted[request])))
    if moved:
        prefilled = float(table.prefilled[request])
        ends += [("prefill", prefilled), ("transfer", prefilled + float(table.kv_transfer[request]))]
    else:
        ends.append(("prefill", float(table.first_token[request])))
    ends.append(("decode", float(table.finish[request])))
    starts = [float(table.arrival[request]), *(end for _, end in ends)]
    return [(name, start, end) for (name, end), start in zip(ends, starts, strict=False)]

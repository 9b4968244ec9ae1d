"""What the metric names of a catalogue mean, and their simulated values.

    <latency>_<statistic>_ms    ttft, tpot, itl, e2e; mean, p50, p90, p95, p99. "unspec" (the source does not
                                say which statistic; the numbers fit the mean) and "derived_mean" are means
    <what>_tps_<of>             output, input, total tokens/s; total, per_gpu, per_node (of 8)
    achieved_rps, duration_s    requests/s; s

A metric that is not among these (transfers, rates that were asked for) has no simulated value.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sim.metrics.latency import latencies
from sim.serving.records import RunResult
from sim.validation.serving.cases import MeasuredCase

_LATENCY = re.compile(r"(ttft|tpot|itl|e2e)_(?:derived_)?(mean|unspec|p\d+)_ms")
_RATE = re.compile(r"(output|input|total|throughput)_(?:unspec_)?tps(?:_(total|per_gpu|per_node))?")
_PREFILL = "prefill_batch_p50_ms"
_NODE = 8
_SERVER = "c3"
_CHUNKED_STREAM = "per stream chunk"


@dataclass(frozen=True, slots=True)
class Measure:
    """Kind of a metric: `what` is ttft, tpot, itl, e2e, output_tps, …; `statistic` mean or p50 … p99."""

    what: str
    statistic: str = "mean"
    per_chips: int = 0
    """Chips that a rate is given for; 0 for all of them."""


def measure(name: str) -> Measure | None:
    """The measure that a metric's name stands for; None for one we do not simulate."""
    if found := _LATENCY.fullmatch(name):
        statistic = "mean" if found[2] == "unspec" else found[2]
        return Measure(found[1], statistic)
    if found := _RATE.fullmatch(name):
        what = "output" if found[1] == "throughput" else found[1]
        return Measure(f"{what}_tps", per_chips={"per_gpu": 1, "per_node": _NODE}.get(found[2] or "", 0))
    if name == _PREFILL:
        return Measure("ttft", "p50")
    return {"achieved_rps": Measure("request_rate"), "duration_s": Measure("duration")}.get(name)


def simulated(
    case: MeasuredCase, run: RunResult, itl: Mapping[str, float], replicas: int
) -> dict[str, float]:
    """The simulated value of each metric of the case that has one, in the metric's own unit.

    Args:
        itl: inter-token statistics by the names of the summary, ms.
        replicas: how many replicas the case measured; `run` is of one.
    """
    values: dict[str, float] = {}
    for name in case.metrics:
        known = measure(name)
        if known is None or (known.what == "itl" and _CHUNKED_STREAM in case.notes):
            continue
        value = _value(case, known, run, itl, replicas)
        if np.isfinite(value) and value > 0:
            values[name] = value
    return values


def _value(
    case: MeasuredCase, known: Measure, run: RunResult, itl: Mapping[str, float], replicas: int
) -> float:
    devices = case.devices or 1
    requests = run.requests
    if known.what == "itl":
        kind = {"p50": "median"}.get(known.statistic, known.statistic)
        return itl.get(f"{kind}_itl_ms", float("nan"))
    if known.what in ("ttft", "tpot", "e2e"):
        each = latencies(requests)
        column = {"ttft": each.ttft, "tpot": each.tpot, "e2e": each.e2el}[known.what]
        return 1e3 * statistic_of(column, known.statistic)
    if known.what == "duration":
        return run.duration
    start, end = _counted(case, run)
    done = (requests.finish > start) & (requests.finish <= end)
    prompt, output = requests.prompt_tokens[done].sum(), requests.output_tokens[done].sum()
    amounts = {
        "output_tps": output,
        "input_tps": prompt,
        "total_tps": prompt + output,
        "request_rate": done.sum(),
    }
    rate = float(amounts[known.what]) * replicas / (end - start) if end > start else float("nan")
    return rate * known.per_chips / devices if known.per_chips else rate


def _counted(case: MeasuredCase, run: RunResult) -> tuple[float, float]:
    """From when to when ended requests count for a rate: of a server, which runs much longer than is
    simulated, the second half of the time in which requests arrive; else the whole run."""
    if case.label[:2] != _SERVER:
        return 0.0, run.duration
    last = float(run.requests.arrival.max())
    return last / 2, last


def statistic_of(values: np.ndarray, statistic: str) -> float:
    """Mean or percentile of the values that are not NaN; NaN of none."""
    known = values[np.isfinite(values)]
    if not len(known):
        return float("nan")
    return float(known.mean() if statistic == "mean" else np.percentile(known, float(statistic[1:])))

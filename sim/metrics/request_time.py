"""Where the time of requests goes: mean TTFT and mean TPOT divided by cause.

Each finished request stands with a rate in the steps of its engine: 1/N from its first step to its first
token, and 1/(M·(output tokens − 1)) from there to its last (N finished requests, M of them with more than one
token). What all rates together spend in a row of steps is the row's weight w, and

    mean TTFT = gateway + front_end + queueing + Σ_rows w_ttft + preemption
    mean TPOT =                                  Σ_rows w_tpot + preemption

    gateway        in a fleet that is operated: arrival to when the request is sent to the engine that gets it
    front_end      from there to when the engine has the request
    queueing       from there to the start of the first step that holds the request
    prefill        w_ttft, divided by cause as its row is, whoever else is in the step
    decode         w_tpot, divided by cause as the decodes of its row alone are
    interference   w_tpot · (1 − time of the decodes alone / time of the step): prefill of others beside them
    transfer       with disaggregation: end of the prefill to the first token, KV transfer and decode step
    preemption     from being thrown out of the KV cache to the next token, waiting and recompute together

All of these follow from the times of every request and step; the division of prefill and decode by cause is
that of sampled steps (sim.metrics.sampled_steps).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sim.metrics.sampled_steps import SampledSteps
from sim.serving.disaggregated import PoolResults
from sim.serving.records import FINISHED, Floats, RequestTable, RunResult
from sim.timing.attribution import ordered

OUTSIDE = ("gateway", "front_end", "queueing", "transfer", "interference", "preemption")
"""What a request waits for other than its own work."""


@dataclass(frozen=True, slots=True)
class LatencyParts:
    """A mean latency in parts, s.

    Attributes:
        phases: what it consists of, summing to the mean; one of them, `working`, is the request's own steps.
        causes: that phase by cause, summing to it.
    """

    phases: Mapping[str, float]
    working: str
    causes: Mapping[str, float]

    @property
    def flat(self) -> dict[str, float]:
        """Seconds by phase, and by cause in the place of the request's own steps."""
        return {name: taken for name, taken in self.phases.items() if name != self.working} | dict(
            self.causes
        )

    @property
    def mean(self) -> float:
        """Seconds in all."""
        return sum(self.phases.values())

    def to_json(self) -> dict[str, object]:
        """In ms: a number per phase, of the request's own steps one per cause."""
        parts: dict[str, object] = {name: 1e3 * seconds for name, seconds in self.phases.items()}
        parts[self.working] = {cause: 1e3 * seconds for cause, seconds in self.causes.items()}
        return parts


@dataclass(frozen=True, slots=True)
class RequestTime:
    """Mean TTFT and TPOT in parts; None where no request has one."""

    ttft: LatencyParts | None
    tpot: LatencyParts | None

    def rows(self) -> list[tuple[str, float | None, float | None]]:
        """(cause, seconds of TTFT, seconds of TPOT) of every cause that takes any; None where a latency has
        no such cause."""
        ttft, tpot = ({} if parts is None else parts.flat for parts in (self.ttft, self.tpot))
        both = ttft | tpot
        working = ordered({cause: both[cause] for cause in both if cause not in OUTSIDE})
        before = ["gateway", "front_end", "queueing"]
        causes = [*before, *working, "transfer", "interference", "preemption"]
        return [(c, ttft.get(c), tpot.get(c)) for c in causes if ttft.get(c) or tpot.get(c)]


@dataclass(frozen=True, slots=True)
class _Spans:
    """Stretches of time in which requests spend at a rate."""

    request: NDArray[np.intp]
    start: Floats
    end: Floats
    rate: Floats

    @property
    def spent(self) -> float:
        return float((self.rate * (self.end - self.start)).sum())


def request_time(result: RunResult, sampled: SampledSteps) -> RequestTime:
    """Divide the mean TTFT and TPOT of a run's finished requests."""
    requests = result.requests
    done = requests.status == FINISHED
    answers = done & (requests.output_tokens > 1)
    return RequestTime(
        _ttft(result, sampled, done) if done.any() else None,
        _tpot(result, sampled, answers) if answers.any() else None,
    )


def disaggregated_request_time(
    pools: PoolResults, decode: SampledSteps, prefill: SampledSteps
) -> RequestTime:
    """Divide the mean TTFT and TPOT of a run in two pools; TTFT only where every prompt was moved.

    Args:
        decode, prefill: the sampled steps of the pools' own results.
    """
    requests = pools.whole.requests
    done = requests.status == FINISHED
    answers = done & (requests.output_tokens > 1)
    ttft = None
    if done.any() and np.isfinite(requests.kv_transfer[done]).all():
        ttft = _ttft(pools.prefill, prefill, done)
        moved = float((requests.first_token - pools.prefill.requests.first_token)[done].mean())
        ttft = replace(ttft, phases={**ttft.phases, "transfer": moved})
    return RequestTime(ttft, _tpot(pools.decode, decode, answers) if answers.any() else None)


def _ttft(result: RunResult, sampled: SampledSteps, done: NDArray[np.bool_]) -> LatencyParts:
    requests = result.requests
    rate = done / np.count_nonzero(done)
    spans = _spans(np.flatnonzero(done), requests.scheduled, requests.first_token, rate)
    lost = _recomputes(result, rate, before_first=True)
    weight = _row_weights(result, spans, lost)
    waiting = np.divide(sampled.waited, sampled.time, out=np.zeros_like(weight), where=sampled.time > 0)
    working = weight * (1.0 - waiting)
    causes = sampled.by_cause(
        np.where(sampled.prefills, 0.0, working), np.where(sampled.prefills, working, 0.0)
    )
    _wait(causes, float((weight * waiting).sum()))
    sent = requests.submitted if len(requests.submitted) else requests.arrival
    at_gateway = float((rate[done] * (sent - requests.arrival)[done]).sum())
    phases = ({"gateway": at_gateway} if len(requests.submitted) else {}) | {
        "front_end": float((rate[done] * (requests.received - sent)[done]).sum()),
        "queueing": float((rate[done] * (requests.scheduled - requests.received)[done]).sum()),
        "prefill": float(weight.sum()),
        "preemption": lost.spent,
    }
    return LatencyParts(phases, "prefill", ordered(causes))


def _tpot(result: RunResult, sampled: SampledSteps, answers: NDArray[np.bool_]) -> LatencyParts:
    requests = result.requests
    rate = answers / np.maximum(requests.output_tokens - 1, 1) / np.count_nonzero(answers)
    spans = _spans(np.flatnonzero(answers), requests.first_token, requests.finish, rate)
    lost = _recomputes(result, rate, before_first=False)
    weight = _row_weights(result, spans, lost)
    share = np.divide(sampled.alone, sampled.time, out=np.ones_like(weight), where=sampled.time > 0)
    decoding = weight * share
    waited = np.where(sampled.prefills, 0.0, weight - decoding)
    causes = sampled.by_cause(decoding, np.zeros_like(weight))
    _wait(causes, float(waited.sum()))
    phases = {
        "decode": float((decoding + waited).sum()),
        "interference": float((weight - decoding - waited).sum()),
        "preemption": lost.spent,
    }
    return LatencyParts(phases, "decode", ordered(causes))


def _wait(causes: dict[str, float], seconds: float) -> None:
    if seconds > 0:
        causes["imbalance"] = causes.get("imbalance", 0.0) + seconds


def _spans(chosen: NDArray[np.intp], start: Floats, end: Floats, rate: Floats) -> _Spans:
    return _Spans(chosen, start[chosen], end[chosen], rate[chosen])


def _recomputes(result: RunResult, rate: Floats, *, before_first: bool) -> _Spans:
    """What preemption took of the requests that count, before or after their first token."""
    lost, requests = result.recomputes, result.requests
    early = lost.end <= requests.first_token[lost.request]
    chosen = early == before_first
    request = lost.request[chosen].astype(np.intp)
    return _Spans(request, lost.start[chosen], lost.end[chosen], rate[request])


def _row_weights(result: RunResult, spans: _Spans, lost: _Spans) -> Floats:
    """What the requests spend in each row: the integral over it of the sum of their rates, s."""
    rows, requests = result.segments, result.requests
    weights = np.zeros(len(rows.start))
    for replica in range(result.replicas):
        own = np.flatnonzero(rows.replica == replica)
        times, changes = _changes(requests, spans, replica, 1.0)
        more_times, more_changes = _changes(requests, lost, replica, -1.0)
        times, changes = np.concatenate((times, more_times)), np.concatenate((changes, more_changes))
        if len(own) and len(times):
            order = np.argsort(times, kind="stable")
            times, rate = times[order], np.cumsum(changes[order])
            area = np.concatenate(([0.0], np.cumsum(rate[:-1] * np.diff(times))))
            start = rows.start[own]
            weights[own] = np.interp(start + rows.time[own], times, area) - np.interp(start, times, area)
    return weights


def _changes(requests: RequestTable, spans: _Spans, replica: int, sign: float) -> tuple[Floats, Floats]:
    """When the sum of rates of a replica's requests changes, and by how much."""
    own = requests.replica[spans.request] == replica
    rate = sign * spans.rate[own]
    return np.concatenate((spans.start[own], spans.end[own])), np.concatenate((rate, -rate))

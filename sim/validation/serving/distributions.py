"""Distributions of a run against per-request records: quantiles, distance, and the queue over time.

    distance = ∫ |F⁻¹_sim(u) − F⁻¹_measured(u)| du / mean of the measured values

(the first Wasserstein distance, relative): 0 for equal distributions, whatever their order.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sim.metrics.latency import latencies
from sim.serving.records import RunResult
from sim.validation.serving.measures import statistic_of
from sim.validation.serving.raw import Floats, RecordedRequests

STATISTICS = ("mean", "p50", "p90", "p99")
_LEVELS = (np.arange(200) + 0.5) / 200


@dataclass(frozen=True, slots=True)
class Distribution:
    """One latency (ms) of one case: measured and simulated statistics, and the distance between the two."""

    id: str
    what: str
    n: int
    measured: Mapping[str, float]
    simulated: Mapping[str, float]
    distance: float

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return {
            "id": self.id,
            "what": self.what,
            "n": self.n,
            "measured": dict(self.measured),
            "simulated": dict(self.simulated),
            "distance": self.distance,
        }


@dataclass(frozen=True, slots=True)
class OverTime:
    """Requests running or waiting of one case: time means, and the mean difference second by second."""

    id: str
    what: str
    measured: float
    simulated: float
    difference: float

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return {
            "id": self.id,
            "what": self.what,
            "measured": self.measured,
            "simulated": self.simulated,
            "difference": self.difference,
        }


def compare_latencies(case: str, records: RecordedRequests, run: RunResult) -> list[Distribution]:
    """TTFT, TPOT and E2EL of the run against the records."""
    each = latencies(run.requests)
    pairs = {
        "ttft": (records.ttft, each.ttft),
        "tpot": (records.tpot, each.tpot),
        "e2e": (records.e2el, each.e2el),
    }
    return [
        _distribution(case, what, measured[np.isfinite(measured)], ours[np.isfinite(ours)])
        for what, (measured, ours) in pairs.items()
        if np.isfinite(measured).any() and np.isfinite(ours).any()
    ]


def _distribution(case: str, what: str, measured: Floats, ours: Floats) -> Distribution:
    gap = np.abs(np.quantile(ours, _LEVELS) - np.quantile(measured, _LEVELS)).mean()
    return Distribution(
        case,
        what,
        len(measured),
        {name: 1e3 * statistic_of(measured, name) for name in STATISTICS},
        {name: 1e3 * statistic_of(ours, name) for name in STATISTICS},
        float(gap / measured.mean()),
    )


def compare_queue(case: str, records: RecordedRequests, run: RunResult) -> list[OverTime]:
    """Running and waiting over time; nothing where they were not recorded."""
    if not len(records.time):
        return []
    middle = run.series.time + run.series.width / 2
    compared: list[OverTime] = []
    for what in ("running", "waiting"):
        measured: Floats = getattr(records, what)
        state: Floats = getattr(run.series, what)
        ours: Floats = np.asarray(np.interp(records.time, middle, state, right=0.0), np.float64)
        gap = float(np.abs(ours - measured).mean())
        compared.append(OverTime(case, what, float(measured.mean()), float(ours.mean()), gap))
    return compared

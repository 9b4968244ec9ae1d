"""Latencies of single requests and the statistics that are reported of them.

TTFT = first token - arrival
TPOT = (finish - first token) / (output tokens - 1), undefined for one-token answers
E2EL = finish - arrival

The definitions, and linear interpolation between order statistics, are those of vLLM's `bench serve`
(`benchmarks/serve.py`, numpy's default percentile and population standard deviation).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.serving.records import FINISHED, RequestTable

PERCENTILES = (50, 90, 95, 99)
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Latencies:
    """Per arrival, in s; NaN where the request did not finish (and TPOT of one-token answers)."""

    finished: NDArray[np.bool_]
    ttft: Floats
    tpot: Floats
    e2el: Floats


@dataclass(frozen=True, slots=True)
class Statistics:
    """Mean, population standard deviation and percentiles (in the order of PERCENTILES) of one latency, s."""

    mean: float
    std: float
    percentiles: tuple[float, ...]

    def fields(self, name: str) -> dict[str, float]:
        """The statistics under vLLM's field names, in ms: mean_ttft_ms, median_ttft_ms, p99_ttft_ms, …"""
        named = {"mean": self.mean, "median": self.percentiles[0], "std": self.std}
        named |= {f"p{q}": value for q, value in zip(PERCENTILES, self.percentiles, strict=True)}
        return {f"{kind}_{name}_ms": 1e3 * value for kind, value in named.items()}


ABSENT = Statistics(float("nan"), float("nan"), (float("nan"),) * len(PERCENTILES))


def latencies(requests: RequestTable) -> Latencies:
    """The latencies of every arrival."""
    finished = requests.status == FINISHED
    if not finished.all():
        first = np.where(finished, requests.first_token, np.nan)
        finish = np.where(finished, requests.finish, np.nan)
    else:
        first, finish = requests.first_token, requests.finish
    gaps = requests.output_tokens - 1
    tpot = np.full(len(finished), np.nan)
    np.divide(finish - first, gaps, out=tpot, where=gaps > 0)
    return Latencies(finished, first - requests.arrival, tpot, finish - requests.arrival)


def statistics(values: Floats) -> Statistics:
    """Statistics of the values that are not NaN; ABSENT if there are none."""
    ordered = np.sort(values)  # NaN sorts last
    if len(ordered) and np.isnan(ordered[-1]):
        ordered = ordered[: int(np.searchsorted(ordered, np.nan))]
    if not len(ordered):
        return ABSENT
    position = np.array(PERCENTILES) / 100 * (len(ordered) - 1)
    below = position.astype(np.int64)
    above = np.minimum(below + 1, len(ordered) - 1)
    percentiles = ordered[below] + (position - below) * (ordered[above] - ordered[below])
    return Statistics(float(ordered.mean()), float(ordered.std()), tuple(percentiles.tolist()))

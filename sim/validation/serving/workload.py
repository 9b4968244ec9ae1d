"""The workload of a case, as measured: lengths, arrivals, number of requests.

closed loop     the harness keeps `concurrency` requests in the system from t = 0 on; its start-up burst and
                drain belong to the run. InferenceX draws lengths uniformly in [0.8, 1] of the nominal ones.
offline         all requests at t = 0
static batch    `concurrency` requests at t = 0, no others
server          Poisson arrivals at the stated rate, lengths of the data set
recorded        the requests' own times and lengths

Runs that were longer than it takes to settle are cut: what is left out would repeat what is simulated.
"""

import csv
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np

from sim.validation.serving.cases import MeasuredCase
from sim.validation.serving.raw import Floats, Ints, RecordedRequests

Tree = dict[str, object]
_CLOSED_ROUNDS = 10
"""Requests per user where the case does not say how many."""
_MOST_TOKENS = 30_000_000
"""Simulated requests are cut where prompts and answers together exceed it; never below `_ROUNDS` per seat."""
_ROUNDS = 3
_OFFLINE = 3000
_LEAST_SERVED = 1000
_SEED = 0
_SERVER_SECONDS = 600.0
"""MLPerf's server scenario runs at least ten minutes."""
_INFERENCEX = (0.8, 1.0)
_OUT_OF_STEP = (0.9, 1.1)
"""Answers of closed loops whose catalogue merely assumes one length: equal answers would keep the users who
start together in step for good, and the TTFT measured is that of users who are not."""


@dataclass(frozen=True, slots=True)
class Workload:
    """A scenario's `workload:` tree, and the share of the measured run's requests that it holds."""

    tree: Tree
    requests: int
    share: float = 1.0


def closed_loop(case: MeasuredCase, concurrency: int, lengths: tuple[float, float]) -> Workload:
    """`concurrency` users, as many requests as the harness sent."""
    count = case.count("n_requests") or _CLOSED_ROUNDS * concurrency
    kept = _cut(count, lengths, _ROUNDS * concurrency)
    tree = _tree({"process": "closed", "concurrency": min(concurrency, kept)}, case, lengths, kept)
    if case.says("isl_osl_note", "assumed"):
        tree["output_tokens"] = _uniform(round(lengths[1]), _OUT_OF_STEP)
    return Workload(tree, kept, kept / count)


def at_once(
    case: MeasuredCase,
    count: int,
    lengths: tuple[float, float],
    seats: int,
    table: Ints | None = None,
    folder: Path | None = None,
) -> Workload:
    """`count` requests at t = 0.

    Args:
        table: (input, output) lengths of the samples, which are then taken in a fixed random order.
    """
    kept = _cut(count, lengths, min(count, _ROUNDS * seats))
    if table is None or folder is None:
        arrivals: Tree = {"process": "burst", "size": kept, "every": "1 s"}
        return Workload(_tree(arrivals, case, lengths, kept), kept, kept / count)
    rows = np.random.default_rng(_SEED).permutation(max(kept, len(table)))[:kept] % len(table)
    trace = _trace(folder, np.zeros(kept), *_samples(case, table, rows))
    return replace(trace, share=kept / count)


def offline_count(case: MeasuredCase) -> int:
    """Requests of an offline run."""
    count = case.count("n_requests")
    if count is not None and count > 1:
        return count
    return case.count("concurrency") or _OFFLINE


def idle() -> Tree:
    """A workload for a scenario that is never run."""
    one = {"distribution": "constant", "value": 1}
    arrivals: Tree = {"process": "closed", "concurrency": 1}
    return {"arrivals": arrivals, "prompt_tokens": one, "output_tokens": one, "num_requests": 1}


def recorded(requests: RecordedRequests, folder: Path, concurrency: int | None) -> Workload:
    """The recorded requests, written to a trace in `folder`: at their own times, or in their order in a
    closed loop of `concurrency` conversations."""
    workload = _trace(
        folder, requests.arrival, requests.prompt_tokens, requests.output_tokens, requests.parent
    )
    if concurrency is not None:
        cast("Tree", workload.tree["arrivals"])["concurrency"] = concurrency
    return workload


def server(
    case: MeasuredCase, rate: float, lengths: tuple[float, float], table: Ints | None, folder: Path
) -> Workload:
    """Poisson arrivals, of samples drawn from a data set's lengths where it has published them.

    Args:
        rate: requests/s.
        table: one (input, output) row per sample; its outputs are scaled to the case's mean.
    """
    count = _cut(int(rate * _SERVER_SECONDS) + 1, lengths, _LEAST_SERVED)
    if table is None:
        return Workload(_tree({"process": "poisson", "rate": rate}, case, lengths, count), count)
    draws = np.random.default_rng(_SEED)
    arrival = np.cumsum(draws.exponential(1.0 / rate, count))
    return _trace(folder, arrival, *_samples(case, table, draws.integers(0, len(table), count)))


def _samples(case: MeasuredCase, table: Ints, rows: Ints) -> tuple[Ints, Ints]:
    """Lengths of these samples; outputs scaled to the mean that the case had."""
    prompt, output = table[rows, 0], table[rows, 1]
    mean = case.number("osl")
    if mean:
        output = np.maximum(1, np.rint(output * (mean / table[:, 1].mean()))).astype(np.int64)
    return prompt, output


def _cut(count: int, lengths: tuple[float, float], least: int) -> int:
    return max(1, min(count, max(least, int(_MOST_TOKENS / sum(lengths)))))


def _tree(arrivals: Tree, case: MeasuredCase, lengths: tuple[float, float], count: int) -> Tree:
    prompt, output = lengths
    return {
        "arrivals": arrivals,
        "prompt_tokens": _length(case, prompt),
        "output_tokens": _length(case, output),
        "num_requests": count,
    }


def _length(case: MeasuredCase, nominal: float) -> Tree:
    tokens = max(1, round(nominal))
    return _uniform(tokens, _INFERENCEX) if _draws_lengths(case) else _constant(tokens)


def _draws_lengths(case: MeasuredCase) -> bool:
    """Whether the harness draws lengths around the nominal ones."""
    return case.says("arrival", "inferencex") and case.says("arrival", "random")


def _uniform(tokens: int, share: tuple[float, float]) -> Tree:
    low, high = (max(1, int(part * tokens)) for part in share)
    return {"distribution": "uniform", "low": low, "high": high}


def _constant(tokens: int) -> Tree:
    return {"distribution": "constant", "value": tokens}


def _trace(folder: Path, arrival: Floats, prompt: Ints, output: Ints, parent: Ints | None = None) -> Workload:
    """Writes a trace; `parent` is the row of the turn that a prompt continues, -1 for none."""
    path = folder / "requests.csv"
    columns: dict[str, list[object]] = {
        "arrival_s": list(arrival.tolist()),
        "prompt_tokens": list(prompt.tolist()),
        "output_tokens": list(output.tolist()),
    }
    if parent is not None and len(parent):
        columns["prefix_of"] = ["" if row < 0 else row for row in cast("list[int]", parent.tolist())]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return Workload({"arrivals": {"process": "trace", "path": path.name}}, len(arrival))

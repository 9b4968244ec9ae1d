"""Per-request records of measured runs: when each request came, how long it was, what it met.

Formats, told apart by what is there:
- a folder with `requests.jsonl` (engine timestamps) and `timeseries.csv` (running and waiting once a second);
- the detailed result of vLLM's serving benchmark (JSON with `input_lens`, `ttfts`, `itls`), which leaves out
  the arrivals: they are drawn as the benchmark draws them, exponential gaps from numpy's legacy generator;
- a table of client measurements of conversations (CSV, gzip'ed): turns with their start and whole prompt.
"""

import csv
import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from sim.errors import UserError
from sim.validation.serving.cases import MeasuredCase

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_NONE = np.empty(0)
_IN_ENGINE = "requests.jsonl"
_BENCHMARK_SEED = 0


@dataclass(frozen=True, slots=True)
class RecordedRequests:
    """Requests of one run in order of arrival; times in s.

    Attributes:
        ttft, tpot, e2el: as measured; NaN where a request has none.
        parent: row of the turn before it in the same conversation, -1 for a first turn; empty without any.
        time, running, waiting: the engine's queue over time; empty where it was not recorded.
    """

    arrival: Floats
    prompt_tokens: Ints
    output_tokens: Ints
    ttft: Floats
    tpot: Floats
    e2el: Floats
    parent: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    time: Floats = field(default_factory=lambda: _NONE)
    running: Floats = field(default_factory=lambda: _NONE)
    waiting: Floats = field(default_factory=lambda: _NONE)


def raw_path(case: MeasuredCase) -> Path | None:
    """Where the case's records lie, None where they are not at hand."""
    if case.raw is None:
        return None
    path = case.folder / case.raw
    return path if path.exists() else None


def inside_engine(case: MeasuredCase) -> bool:
    """Whether the case's records were taken in the engine itself, behind any server."""
    path = raw_path(case)
    return path is not None and (path / _IN_ENGINE).is_file()


def read_recorded(case: MeasuredCase) -> RecordedRequests | None:
    """The case's per-request records; None where there are none of a known format.

    Raises:
        UserError: for records that cannot be read.
    """
    path = raw_path(case)
    if path is None:
        return None
    try:
        if inside_engine(case):
            return _engine_times(path)
        if path.suffix == ".json":
            return _benchmark(path, case.number("request_rate"))
        if path.name.endswith("client_metrics.csv.gz"):
            return _conversations(path)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{case.raw}: these records cannot be read ({error!r})") from None
    return None


def _engine_times(folder: Path) -> RecordedRequests:
    """TTFT = first_token − arrival on the engine's clock, whose offset is the least of queued − arrival."""
    lines = (folder / _IN_ENGINE).read_text("utf-8").splitlines()
    rows = [cast("Mapping[str, float]", json.loads(line)) for line in lines if line.strip()]

    def column(name: str) -> Floats:
        return np.array([row[name] for row in rows], np.float64)

    arrival, queued = column("arrival_time"), column("queued_ts")
    first, last = column("first_token_ts"), column("last_token_ts")
    output = column("output_toks").astype(np.int64)
    came = arrival + (queued - arrival).min()
    order = np.argsort(arrival, kind="stable")
    series = _series(folder / "timeseries.csv")
    return RecordedRequests(
        arrival=(arrival - arrival.min())[order],
        prompt_tokens=column("input_toks").astype(np.int64)[order],
        output_tokens=output[order],
        ttft=(first - came)[order],
        tpot=_per_token(last - first, output)[order],
        e2el=(last - came)[order],
        time=series["t"],
        running=series["running"],
        waiting=series["waiting"],
    )


def _series(path: Path) -> Mapping[str, Floats]:
    if not path.is_file():
        return {"t": _NONE, "running": _NONE, "waiting": _NONE}
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {name: np.array([float(row[name]) for row in rows]) for name in ("t", "running", "waiting")}


def _benchmark(path: Path, rate: float | None) -> RecordedRequests | None:
    tree = cast("Mapping[str, object]", json.loads(path.read_text("utf-8")))
    if rate is None or not {"input_lens", "output_lens", "ttfts", "itls"} <= tree.keys():
        return None
    prompt = np.array(tree["input_lens"], np.int64)
    output = np.array(tree["output_lens"], np.int64)
    ttft = np.array(tree["ttfts"], np.float64)
    gaps = np.array([sum(gaps) for gaps in cast("Sequence[Sequence[float]]", tree["itls"])])
    waits = np.random.RandomState(_BENCHMARK_SEED).exponential(1.0 / rate, len(prompt))
    return RecordedRequests(
        arrival=np.concatenate(([0.0], np.cumsum(waits)[:-1])),
        prompt_tokens=np.maximum(prompt, 1),
        output_tokens=np.maximum(output, 1),
        ttft=ttft,
        tpot=_per_token(gaps, output),
        e2el=ttft + gaps,
    )


def _conversations(path: Path) -> RecordedRequests:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: float(row["start_time_ms"]))
    last: dict[str, int] = {}
    parent: list[int] = []
    for index, row in enumerate(rows):
        parent.append(last.get(row["conversation_id"], -1))
        last[row["conversation_id"]] = index

    def column(name: str) -> Floats:
        return np.array(list(_numbers(rows, name)), np.float64)

    start, output = column("start_time_ms") / 1e3, column("output_num_tokens").astype(np.int64)
    return RecordedRequests(
        arrival=start - start.min(),
        prompt_tokens=np.maximum(column("input_num_tokens").astype(np.int64), 1),
        output_tokens=np.maximum(output, 1),
        ttft=column("ttft_ms") / 1e3,
        tpot=np.where(output > 1, column("tpot_ms") / 1e3, np.nan),
        e2el=column("latency_ms") / 1e3,
        parent=np.array(parent, np.int64),
    )


def _numbers(rows: Sequence[Mapping[str, str]], name: str) -> Iterator[float]:
    for row in rows:
        yield float(row[name]) if row[name] else float("nan")


def _per_token(decoding: Floats, output: Ints) -> Floats:
    """Mean gap between tokens; NaN for answers of one."""
    tpot = np.full(len(output), np.nan)
    np.divide(decoding, output - 1, out=tpot, where=output > 1)
    return tpot


_MLPERF = ("b4", "c3")
"""Its scenarios, offline and server."""


def read_lengths(case: MeasuredCase) -> NDArray[np.int64] | None:
    """(input, output) lengths of MLPerf's samples for the model of one of its runs; None where none lie
    beside the catalogue, and for a case of another benchmark."""
    from sim.validation.serving.names import plain

    if case.label[:2] not in _MLPERF:
        return None
    wanted = plain(case.model)
    for path in sorted((case.folder / "raw" / "MLPerf").glob("lengths_*.csv")):
        named = plain(path.stem.removeprefix("lengths_"))
        if named.startswith(wanted):
            table = np.loadtxt(path, delimiter=",", skiprows=1, dtype=np.int64, ndmin=2)
            return np.maximum(table, 1)
    return None

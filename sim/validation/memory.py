"""The DRAM model against public simulators: the same requests on the same configuration, row by row.

A row of the reference names a configuration, the arguments of its request stream, and what the simulator
achieved. We serve the same stream and compare bandwidth, mean latency and 99th percentile of the reads.
"""

import csv
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import cast

from sim.dram import (
    MemorySystem,
    PatternSpec,
    arrival_ticks,
    generate,
    measure,
    numba_installed,
    serve,
    trace_hash,
)
from sim.dram.stream import PATTERNS, Pattern
from sim.errors import UserError, unknown
from sim.validation.agreement import Agreement, Compared, agreement, comparison_json
from sim.validation.memory_configs import read_system

_KEYS = ("pattern", "dram", "simulator", "metric")
_NEEDED = ("simulator", "dram", "config_id", "pattern", "achieved_gb_s", "requests", "gen_args", "trace_hash")
_DEFECTS = ("defect", "blocks the whole channel")
_MIXES = ("seq_mix", "random_chunk_mix", "llm_mix", "two_stream_rw")
_LATENCY = {"mean_latency": ("mean_latency_ns", 5.0), "p99": ("p99_latency_ns", 10.0)}
_HASHED = 10_000
_ARRIVAL_SEED = 987_654_321
_NAMES = {
    "pat": "pattern",
    "gran": "granularity",
    "wf": "write_fraction",
    "pw": "weights",
    "pk": "blocks",
    "pa": "appends",
}


@dataclass(frozen=True, slots=True)
class MemoryReport:
    """What was compared, by group (worst first) and by pattern and metric, and what was left out and why."""

    overall: tuple[Agreement, ...]
    groups: tuple[Agreement, ...]
    patterns: tuple[Agreement, ...]
    rows: tuple[Compared, ...]
    skipped: Mapping[str, int]

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        sections = {"overall": self.overall, "groups": self.groups, "patterns": self.patterns}
        return comparison_json("memory", sections, self.rows, self.skipped)


def validate_memory(references: Sequence[Path], configs: Path, *, every: int = 1) -> MemoryReport:
    """Serves each row's requests on its configuration and compares.

    Args:
        configs: the folder of the configurations the rows name.
        every: take every n-th row only.
    Raises:
        UserError: for an unreadable file, a row that cannot be understood, a stream that is not the row's, or
            without numba (a row takes the pure loop minutes).
    """
    if not numba_installed():
        raise UserError("validate memory needs numba: pip install 'bandwall[dram]'")
    compared: list[Compared] = []
    skipped: Counter[str] = Counter()
    for reference in references:
        for line, row in list(_rows(reference))[::every]:
            if any(defect in row.get("note", "") for defect in _DEFECTS):
                skipped[row["note"]] += 1
                continue
            system = _system(row, configs)
            if isinstance(system, str):
                skipped[system] += 1
            else:
                compared += _compare(row, f"{reference.name}:{line}", system)
    return MemoryReport(
        overall=agreement(compared, ("metric",)),
        groups=agreement(compared, _KEYS),
        patterns=agreement(compared, ("pattern", "metric")),
        rows=tuple(compared),
        skipped=dict(skipped),
    )


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, str]]]:
    """(line number, row) of a reference."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            missing = [name for name in _NEEDED if name not in (reader.fieldnames or ())]
            if missing:
                raise UserError(f"{path.name}: no column '{missing[0]}' (needed: {', '.join(_NEEDED)})")
            for row in reader:
                yield reader.line_num, row
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path.name}: cannot be read ({error})") from None


def _system(row: Mapping[str, str], configs: Path) -> MemorySystem | str:
    """The memory system a row names, or why the model has no such thing."""
    path = configs / f"{row['config_id']}.json"
    try:
        return read_system(path, fifo=int(row.get("front_end_fifo_per_channel") or 0))
    except UserError as error:
        if not path.is_file():
            raise
        return str(error)


def _compare(row: Mapping[str, str], place: str, system: MemorySystem) -> list[Compared]:
    spec = _spec(row["gen_args"], place)
    measured = int(row["requests"]) // 1000 * 1000
    window = int(row.get("max_outstanding") or 0)
    warm_up = measured // (5 if system.channels > 1 else 20 if window == 1 else 10)
    wanted = measured + warm_up + 32 * system.channels
    spare = wanted // 10 + system.channels * (system.fifo + 4096)
    line, write = _stream(spec, wanted + spare)
    if trace_hash(line[:_HASHED], write[:_HASHED]) != row["trace_hash"]:
        raise UserError(
            f"{place}: the requests of gen_args {row['gen_args']} are not those of its trace_hash"
        )
    arrival = None
    if row.get("offered_load"):
        per_tick = float(row["offered_load"]) * system.device.lines_per_tick
        arrival = arrival_ticks(_ARRIVAL_SEED + spec.seed, per_tick, line.size) + 1
    served = serve(system, line, write, wanted=wanted, window=window, arrival=arrival)
    result = measure(served, warm_up, measured)
    values = {"bandwidth": (float(row["achieved_gb_s"]), result.bandwidth / 1e9, _tolerance(row, system))}
    for metric, (column, tolerance) in _LATENCY.items():
        if row.get(column):
            simulated = result.mean_latency if metric == "mean_latency" else result.latency_quantile(0.99)
            values[metric] = (float(row[column]), simulated * 1e9, tolerance)
    keys = {name: row[name] for name in ("pattern", "dram", "simulator")}
    return [Compared(place, keys | {"metric": metric}, *found) for metric, found in values.items()]


def _spec(text: str, place: str) -> PatternSpec:
    try:
        arguments = cast("dict[str, float]", json.loads(text))
        named = {_NAMES.get(name, name): value for name, value in arguments.items()}
        pattern = cast("str", named.get("pattern"))
        if pattern not in PATTERNS:
            raise unknown("request pattern", pattern, PATTERNS)
        return PatternSpec(cast("Pattern", pattern), **{k: v for k, v in named.items() if k != "pattern"})  # pyright: ignore[reportArgumentType]
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(f"{place}: gen_args {text} cannot be understood ({error})") from None


_stream = lru_cache(maxsize=4)(generate)


def _tolerance(row: Mapping[str, str], system: MemorySystem) -> float:
    """Percent of bandwidth: 1 for streams and single lines, 3 for chunks and strides, 5 for gathers and
    mixes."""
    pattern = row["pattern"]
    if pattern in _MIXES or pattern.startswith("gather"):
        return 5.0
    single = row.get("chunk_bytes") == str(system.device.organisation.transaction_bytes)
    if pattern.startswith(("strided", "streams")) or ("chunk" in pattern and not single):
        return 3.0
    return 1.0

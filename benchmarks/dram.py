"""How fast the DRAM model is, and its agreement with the references as a table.

    python benchmarks/dram.py                       CPU seconds per million requests
    python benchmarks/dram.py agreement FILE.json   the table of docs/dram.md, from `validate memory --json`

One HBM3 pseudo-channel. Times are CPU seconds of serving, generation of the requests included, compilation
not (the first serve is not counted); the least of three runs.
"""

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from sim.dram import (
    BankQueueController,
    MemorySystem,
    PatternSpec,
    SharedQueueController,
    generate,
    interleaved_mapping,
    load_device,
    numba_installed,
    serve,
)

_REQUESTS = 300_000
_PURE_REQUESTS = 3_000
_PATTERNS = {
    "stream": {"pattern": "seq"},
    "random 512 B": {"pattern": "rand", "chunk": 16},
    "random 32 B": {"pattern": "rand"},
    "two streams, half writes": {"pattern": "rw2", "write_fraction": 0.5},
}
_CONTROLLERS = {
    "shared queue of 32": SharedQueueController(32, refresh="all-bank"),
    "shared queue of 128": SharedQueueController(128, refresh="all-bank"),
    "queues of 8 per bank": BankQueueController(32, 8),
}


def seconds_per_million(controller: str, pattern: str, *, pure: bool) -> float:
    """CPU seconds per million requests."""
    device = load_device("hbm3").channel()
    device = replace(device, organisation=replace(device.organisation, pseudo_channels=1, stack_ids=1))
    system = MemorySystem(device, interleaved_mapping(device.organisation), _CONTROLLERS[controller])
    spec = PatternSpec(lines=system.mapping.lines, **_PATTERNS[pattern])
    count = _PURE_REQUESTS if pure else _REQUESTS
    least = float("inf")
    for _ in range(1 if pure else 4):
        begin = time.process_time()
        line, write = generate(spec, count)
        serve(system, line, write, wanted=count - 2_000, pure=pure)
        least = min(least, time.process_time() - begin)
    return least * 1e6 / count


def agreement(path: Path) -> Iterator[str]:
    """Lines of a Markdown table of the patterns' errors, percent."""
    report = json.loads(path.read_text())
    metrics = ("bandwidth", "mean_latency", "p99")
    yield "| pattern | rows | bandwidth: mean, worst | mean latency | p99 | in tolerance |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    for pattern in sorted({row["pattern"] for row in report["rows"]}):
        cells = []
        for metric in metrics:
            errors = [
                abs(row["simulated"] / row["measured"] - 1) * 100
                for row in report["rows"]
                if (row["pattern"], row["metric"]) == (pattern, metric)
            ]
            cells.append(f"{sum(errors) / len(errors):.2f} / {max(errors):.2f} %" if errors else "–")
        groups = [group for group in report["patterns"] if group["pattern"] == pattern]
        within = sum(group["within"] * group["n"] for group in groups) / sum(group["n"] for group in groups)
        rows = max(group["n"] for group in groups)
        yield f"| {pattern} | {rows} | {' | '.join(cells)} | {100 * within:.0f} % |"


def main() -> None:
    """Prints what was asked for."""
    if sys.argv[1:2] == ["agreement"]:
        print("\n".join(agreement(Path(sys.argv[2]))))
        return
    for controller in _CONTROLLERS:
        for pattern in _PATTERNS:
            compiled = seconds_per_million(controller, pattern, pure=False) if numba_installed() else None
            pure = seconds_per_million(controller, pattern, pure=True)
            shown = "no numba" if compiled is None else f"{compiled:5.2f} s"
            print(
                f"{controller:22s} {pattern:26s} compiled {shown}   pure {pure:6.0f} s   per million requests"
            )


if __name__ == "__main__":
    main()

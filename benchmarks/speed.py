"""How fast the simulator is: CPU seconds and peak memory of whole `bandwall` processes.

    python benchmarks/speed.py [NAME …] [--runs N]

Every figure is the user and system time of a process of its own (`wait4`), start-up, metrics and the written
result included; the least of N runs, because other work on a machine only ever adds. `start` is a run of one
request, so W - start is the run phase.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Job:
    """One process: a scenario with overrides."""

    scenario: str
    sets: tuple[str, ...] = ()
    requests: int = 0
    most_runs: int = 99


def _load(n: int) -> tuple[str, ...]:
    return (f"workload.num_requests={n}",)


def _output(tokens: int, rate: float, caching: bool) -> tuple[str, ...]:
    """Llama-3.1-8B, outputs of one length, the same output tokens/s, far below preemption."""
    return (
        "workload.num_requests=4000",
        f"workload.arrivals.rate={rate}",
        f"workload.output_tokens={{distribution: constant, value: {tokens}}}",
        f"deployment.engine.enable_prefix_caching={str(caching).lower()}",
    )


JOBS = {
    "start": Job("w1.yaml", _load(1), 1),
    "w1": Job("w1.yaml", (), 1_000),
    "w2": Job("w2.yaml", (), 10_000),
    "w3": Job("w3.yaml", (), 100_000, 3),
    "million": Job("w3.yaml", _load(1_000_000), 1_000_000, 1),
    "fleet": Job("fleet.yaml", (), 1_000_000, 1),
    "out256-cache-off": Job("output-length.yaml", _output(256, 8.0, False), 4_000),
    "out2048-cache-off": Job("output-length.yaml", _output(2048, 1.0, False), 4_000),
    "out256-cache-on": Job("output-length.yaml", _output(256, 8.0, True), 4_000),
    "out2048-cache-on": Job("output-length.yaml", _output(2048, 1.0, True), 4_000),
}


def measure(job: Job) -> tuple[float, float]:
    """(CPU seconds, peak MB) of one process."""
    sets = [part for value in job.sets for part in ("--set", value)]
    with tempfile.TemporaryDirectory() as folder:
        bandwall = Path(sys.executable).with_name("bandwall")
        command = [str(bandwall), "run", str(_HERE / job.scenario), *sets]
        command += ["--json", str(Path(folder) / "result.json")]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    """Measure the named jobs, or all, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(JOBS)}; all if none")
    parser.add_argument("--runs", type=int, default=5, help="runs of each; the least counts")
    options = parser.parse_args()
    unknown = set(options.names) - set(JOBS)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    start = None
    print(f"{'job':<18}{'CPU s':>9}{'less start':>12}{'µs/request':>12}{'peak MB':>9}")
    for name in options.names or JOBS:
        job = JOBS[name]
        results = [measure(job) for _ in range(min(options.runs, job.most_runs))]
        seconds, memory = min(s for s, _ in results), min(m for _, m in results)
        start = seconds if name == "start" else start
        run = seconds - (start or 0.0)
        print(f"{name:<18}{seconds:>9.3f}{run:>12.3f}{run / job.requests * 1e6:>12.1f}{memory:>9.0f}")


if __name__ == "__main__":
    main()

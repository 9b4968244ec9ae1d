"""The engine as a queue that theory knows: mean times in the system against closed forms.

    python benchmarks/queueing.py [--requests N]

Steps of fixed length τ and c seats make it c servers of service time S = tokens·τ, first come first served:

    M/M/c    T = E[S] + C(c, a) / (c·μ - λ),  C(c, a) = Erlang's C, a = λ/μ
    M/D/1    T = s + ρ·s / (2(1 - ρ))                                   (Pollaczek-Khinchine)

Steps of τ per sequence and seats for everybody make it one server that all share equally:

    M/G/1-PS T = E[S] / (1 - ρ), whatever the distribution of S

Mean service times are 10,000 steps, so steps are short. Half-widths are of 95 % confidence, from 60 batch
means less what the batches' mean gaps and lengths, whose expectations are known, explain of them (control
variates). Exit status 1 where a mean is off by more than 2 % and its half-width, or a half-width exceeds 2 %.
"""

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.serving import FleetConfig, RunResult, SchedulerConfig, serve_fleet
from sim.timing.linear_surface import LinearSurface
from sim.workload.requests import Requests

Lengths = Callable[[np.random.Generator, int], NDArray[np.float64]]

STEP = 1e-4
TOKENS = 10_000.0
SERVICE = STEP * TOKENS
BATCHES = 60
STUDENT = 2.002
"""97.5 % quantile of Student's t with 57 degrees of freedom: 60 batches, a mean and two controls."""


@dataclass(frozen=True)
class Queue:
    """A queue: unit-mean lengths of its requests, seats (0: everybody shares), and its load per seat."""

    name: str
    lengths: Lengths
    seats: int
    load: float
    theory: Callable[[float, int], float]
    """(ρ, seats) → mean time in the system, in mean service times."""

    @property
    def rate(self) -> float:
        """Arrivals per s."""
        return self.load * max(1, self.seats) / SERVICE


@dataclass(frozen=True)
class Outcome:
    """In mean service times; `half` is the half-width of 95 % confidence."""

    theory: float
    mean: float
    half: float

    @property
    def error(self) -> float:
        """Relative to theory."""
        return self.mean / self.theory - 1.0


def erlang(rho: float, servers: int) -> float:
    """M/M/c: one service, and the wait that Erlang's C gives."""
    load = servers * rho
    terms = [load**k / math.factorial(k) for k in range(servers)]
    last = load**servers / math.factorial(servers) / (1 - rho)
    return 1 + last / (sum(terms) + last) / (servers * (1 - rho))


def pollaczek(rho: float, _: int) -> float:
    """M/D/1."""
    return 1 + rho / (2 * (1 - rho))


def sharing(rho: float, _: int) -> float:
    """M/G/1-PS."""
    return 1 / (1 - rho)


def exponential(draws: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Of mean 1."""
    return draws.standard_exponential(count)


def constant(draws: np.random.Generator, count: int) -> NDArray[np.float64]:
    """All 1."""
    return np.ones(count)


def two_kinds(draws: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Nine short ones to a long one, of mean 1 and coefficient of variation 1.5."""
    return np.where(draws.random(count) < 0.9, 0.5, 5.5)


QUEUES = (
    Queue("M/M/1", exponential, 1, 0.5, erlang),
    Queue("M/M/4", exponential, 4, 0.7, erlang),
    Queue("M/M/16", exponential, 16, 0.85, erlang),
    Queue("M/D/1", constant, 1, 0.7, pollaczek),
    Queue("M/M/1-PS", exponential, 0, 0.5, sharing),
    Queue("M/D/1-PS", constant, 0, 0.5, sharing),
    Queue("M/G/1-PS", two_kinds, 0, 0.5, sharing),
)


def measured(queue: Queue, count: int, seed: int = 0) -> Outcome:
    """The queue as the engine serves it."""
    table = served(queue, count, seed).requests
    times = _batch_means((table.finish - table.arrival) / SERVICE)
    gaps = np.diff(table.arrival, prepend=0.0) * queue.rate
    lengths = table.output_tokens / TOKENS
    controls = np.column_stack([_batch_means(gaps) - 1.0, _batch_means(lengths) - 1.0, np.ones(BATCHES)])
    controls = controls[:, np.any(np.abs(controls) > 1e-6, axis=0)]  # constant lengths explain nothing
    fitted, *_ = np.linalg.lstsq(controls, times, rcond=None)
    left = times - controls @ fitted
    variance = float(left @ left) / (BATCHES - controls.shape[1])
    half = STUDENT * math.sqrt(variance * float(np.linalg.inv(controls.T @ controls)[-1, -1]))
    return Outcome(queue.theory(queue.load, queue.seats), float(fitted[-1]), half)


def _batch_means(column: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of equal batches, without the first twentieth, in which the queue fills."""
    settled = column[len(column) // 20 :]
    return settled[: len(settled) // BATCHES * BATCHES].reshape(BATCHES, -1).mean(axis=1)


def served(queue: Queue, count: int, seed: int) -> RunResult:
    """Its requests, of one prompt token each, through one engine."""
    draws = np.random.default_rng(seed)
    arrival = np.cumsum(draws.standard_exponential(count)) / queue.rate
    tokens = np.maximum(1, np.rint(queue.lengths(draws, count) * TOKENS)).astype(np.int64)
    limits = SchedulerConfig(
        block_size=1_000_000,
        num_blocks=1_000_000,
        max_model_len=1_000_000,
        max_num_scheduled_tokens=100_000,
        max_num_batched_tokens=100_000,
        max_num_seqs=queue.seats or 100_000,
        enable_prefix_caching=False,
        async_scheduling=False,
    )
    surface = LinearSurface(STEP, 0.0, 0.0) if queue.seats else LinearSurface(0.0, STEP, 0.0)
    return serve_fleet(Requests(arrival, np.ones(count, np.int64), tokens), surface, FleetConfig(limits))


def main() -> int:
    """Print a row per queue."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--requests", type=int, default=150_000, help="of each queue")
    count = parser.parse_args().requests
    failed = False
    print(f"{'queue':<10}{'load':>6}{'theory':>9}{'engine':>9}{'error':>9}{'half-width':>12}")
    for queue in QUEUES:
        found = measured(queue, count)
        half = found.half / found.theory
        failed |= half > 0.02 or abs(found.error) > max(0.02, half)
        print(
            f"{queue.name:<10}{queue.load:>6}{found.theory:>9.4f}{found.mean:>9.4f}"
            f"{100 * found.error:>8.2f}%{100 * half:>11.2f}%"
        )
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())

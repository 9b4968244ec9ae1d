"""Small fleets with a fixed price per step, for tests of what is done with them."""

import numpy as np

from sim.serving import FleetConfig, RunResult, SchedulerConfig, serve_fleet
from sim.serving.operation.plan import Operation
from sim.timing.linear_surface import LinearSurface
from sim.workload.requests import Requests

STEP = LinearSurface(0.01, 1e-4, 1e-7)


def config(
    operation: Operation | None, replicas: int = 4, router: str = "least_outstanding", **limits: object
):
    """Replicas of two chips each."""
    given = {
        "block_size": 16, "num_blocks": 10_000, "max_model_len": 20_000, "max_num_scheduled_tokens": 4096,
        "max_num_batched_tokens": 4096, "max_num_seqs": 64,
    } | limits  # fmt: skip
    ranks, front_end = given.pop("ranks", 1), given.pop("front_end", None)
    return FleetConfig(
        SchedulerConfig(**given), replicas, ranks, router, chips=2, operation=operation, front_end=front_end
    )


def served(
    requests: Requests, operation: Operation, surface=STEP, step_by_step=False, **of: object
) -> RunResult:
    """The requests through such a fleet."""
    return serve_fleet(requests, surface, config(operation, **of), step_by_step=step_by_step)


def poisson(
    count: int, rate: float, seed: int = 0, prompt: int = 200, output: int = 100, **columns
) -> Requests:
    """Independent arrivals, lengths uniform up to the given ones."""
    rng = np.random.default_rng(seed)
    return Requests(
        np.cumsum(rng.exponential(1 / rate, count)),
        rng.integers(10, prompt, count),
        rng.integers(1, output, count),
        **columns,
    )


def states(result: RunResult, replica: int) -> list[tuple[float, str]]:
    """(time, state) of a replica."""
    assert result.history is not None
    return [(time, state) for time, place, state in result.history.changes if place == replica]

"""What the fleet does with its chips: utilisation and cost (power: `sim.metrics.power`).

MFU = 2 · active parameters · tokens / (dense peak of the arithmetic type · chips · duration)
MBU = HBM bytes the steps touch per chip and second / peak HBM bandwidth
USD per million output tokens = chip time · price per chip-hour / 3600 / output tokens · 10⁶

MFU counts each token of a finished request once (cached prompt tokens and recomputed ones not at all), as in
the PaLM paper (arXiv:2204.02311, appendix B) without its attention term. The price is that of the whole
fleet over the whole run, prefill and idle time included.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sim.hardware.cluster import Cluster
from sim.metrics.bottleneck import TimeBreakdown
from sim.serving.records import FINISHED, RunResult

SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Fleet:
    """What utilisation, cost and energy need to know of the chips and the model.

    Attributes:
        cluster: its chip's peaks, rental and power; `overhead_power`.
        arithmetic: the type the matrices are multiplied in ("bf16", "fp8", …).
        active_params: parameters a token is multiplied with.
    """

    cluster: Cluster
    arithmetic: str
    active_params: float


@dataclass(frozen=True, slots=True)
class PoolUse:
    """What one pool of chips did in a run."""

    result: RunResult
    fleet: Fleet
    breakdown: TimeBreakdown | None


def utilisation(result: RunResult, pools: Sequence[PoolUse]) -> dict[str, float | None]:
    """`mfu`, and `mbu` where the run's time was broken down; None for a run without duration."""
    requests = result.requests
    done = requests.status == FINISHED
    tokens = requests.prompt_tokens - requests.cached_tokens + requests.output_tokens - 1
    capacity = bandwidth = touched = 0.0
    for pool in pools:
        chip, chips = pool.fleet.cluster.chip, pool.result.chips
        capacity += chip.peak(pool.fleet.arithmetic) / chip.clock_share * pool.result.chip_seconds
        bandwidth += chip.memory.bandwidth * chips * pool.result.on_share
        if pool.breakdown is not None:
            touched += pool.breakdown.busy * pool.breakdown.rate(lambda o: o.hbm_bytes) * chips
    flops = 2.0 * pools[0].fleet.active_params * float(tokens[done].sum())
    known = bandwidth > 0 and all(pool.breakdown is not None for pool in pools)
    return {"mfu": flops / capacity if capacity > 0 else None, "mbu": touched / bandwidth if known else None}


def cost(result: RunResult, pools: Sequence[PoolUse], output_tokens: int) -> dict[str, float | None]:
    """USD of the run and per million output tokens; None where a chip's price is not known."""
    prices = [pool.fleet.cluster.chip.rental for pool in pools]
    if min(prices) <= 0:
        return {"usd": None, "usd_per_million_output_tokens": None}
    usd = sum(
        pool.result.chip_seconds * price / SECONDS_PER_HOUR for pool, price in zip(pools, prices, strict=True)
    )
    return {"usd": usd, "usd_per_million_output_tokens": usd / output_tokens * 1e6 if output_tokens else None}

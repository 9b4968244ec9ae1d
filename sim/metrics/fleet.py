"""What the fleet does with its chips: utilisation, cost and energy.

MFU = 2 · active parameters · tokens / (dense peak of the arithmetic type · chips · duration)
MBU = HBM bytes the steps touch per chip and second / peak HBM bandwidth
USD per million output tokens = chips · duration · price per chip-hour / 3600 / output tokens · 10⁶
J per output token = chips · duration · mean power / output tokens
mean power of a chip = overhead + idle + busy · min(tdp - idle, FLOP/s · J/FLOP + B/s · J/B)

MFU counts each token of a finished request once (cached prompt tokens and recomputed ones not at all), as in
the PaLM paper (arXiv:2204.02311, appendix B) without its attention term. Price and energy are of the whole
fleet over the whole run, prefill and idle time included. FLOPs and bytes are those of the slowest chip of a
stage, taken for all chips, so power is on the high side.
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
        capacity += chip.peak(pool.fleet.arithmetic) * chips * result.duration
        bandwidth += chip.memory.bandwidth * chips
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
    hourly = sum(pool.result.chips * price for pool, price in zip(pools, prices, strict=True))
    usd = hourly * result.duration / SECONDS_PER_HOUR
    return {"usd": usd, "usd_per_million_output_tokens": usd / output_tokens * 1e6 if output_tokens else None}


def energy(result: RunResult, pools: Sequence[PoolUse], output_tokens: int) -> dict[str, float | None]:
    """Mean power per chip (W), energy of the run (J) and per output token; None where power is not known."""
    watts = 0.0
    for pool in pools:
        if pool.breakdown is None or pool.fleet.cluster.chip.power.tdp <= 0:
            return {"mean_power_per_chip_w": None, "joules": None, "joules_per_output_token": None}
        watts += pool.result.chips * mean_power(pool.fleet.cluster, pool.breakdown)
    joules = watts * result.duration
    return {
        "mean_power_per_chip_w": watts / result.chips,
        "joules": joules,
        "joules_per_output_token": joules / output_tokens if output_tokens else None,
    }


def mean_power(cluster: Cluster, breakdown: TimeBreakdown) -> float:
    """Mean power of a chip and its share of the box over the run, W."""
    power = cluster.chip.power
    switching = breakdown.rate(lambda o: o.flops * power.pj_flop + o.hbm_bytes * power.pj_byte)
    ceiling = max(0.0, power.tdp - power.idle)
    return cluster.overhead_power + power.idle + breakdown.busy * min(ceiling, switching)

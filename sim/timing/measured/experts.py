"""Prices of routed experts as their benchmarks time them: the busiest rank under a given distribution.

  balanced       tokens dealt out evenly
  power_law_α    loads of E experts drawn from p(x) ∝ x^−α on [1, 0.8·T] (on [0.01, 2] where T·k ≤ E),
                 scaled to T·k pairs, at most T for one expert; the rank with most of them is timed

T tokens in all ranks, k experts per token. Five draws, seeded by the shape; the time is their mean.
"""

from functools import lru_cache

import numpy as np

from sim.operators import Experts
from sim.operators.loads import ExpertLoads, expert_loads
from sim.operators.quantities import Array
from sim.timing.experts import price_experts
from sim.timing.measured.bench import ARITHMETIC, Bench, by_kernel
from sim.timing.measured.rows import Rows

DRAWS = 5
_SHAPE = (
    "hidden_size", "inter_size", "topk", "num_experts", "moe_tp_size", "moe_ep_size", "distribution",
)  # fmt: skip
UNGATED = "nongated"
"""Part of the name of kernels whose experts have one matrix less."""


def price_moe(rows: Rows, bench: Bench) -> Array:
    """Seconds of the busiest rank's experts, with routing, permutation and combination."""
    seconds = np.empty(rows.n)
    for (dtype, stack, kernel), same, places in by_kernel(rows):
        cold = bench.cold("moe", dtype, stack, kernel)
        weights, activations, arithmetic = ARITHMETIC[dtype]
        for (hidden, inter, topk, experts, tp, ep, distribution), at in same.alike(*_SHAPE):
            tokens = tuple(same.numbers("num_tokens")[at].astype(int).tolist())
            layer = Experts(
                name="experts",
                group="",
                count=1,
                loads=benchmark_loads(str(distribution), int(experts), int(topk), int(ep), tokens),
                hidden=int(hidden),
                inter=int(inter) // int(tp),
                gated=UNGATED not in kernel,
                weights=weights,
                activations=activations,
                arithmetic=arithmetic,
                gathered=False,
            )
            seconds[places[at]] = price_experts(layer, cold).total
    return seconds


@lru_cache(maxsize=4096)
def benchmark_loads(
    distribution: str, experts: int, topk: int, ep: int, tokens: tuple[int, ...]
) -> ExpertLoads:
    """Loads of the busiest of `ep` ranks in each draw, for each number of tokens."""
    counts = [_busiest(distribution, experts, topk, ep, t) for t in tokens]
    total = np.array(tokens, np.float64)
    return expert_loads(np.array(counts), total, 1, all_pairs=topk * total)


@lru_cache(maxsize=65536)
def _busiest(distribution: str, experts: int, topk: int, ep: int, tokens: int) -> Array:
    """Tokens per expert of the busiest rank, by draw."""
    if distribution == "balanced":
        draws = [_even(experts, topk * tokens, ep)]
    else:
        alpha, shape = float(distribution.rpartition("_")[2]), (experts, topk, ep, tokens)
        draws = [_power_law(alpha, experts, topk, tokens, [d, *shape]) for d in range(DRAWS)]
    by_rank = np.array(draws).reshape(len(draws), ep, experts // ep)
    busiest = by_rank.sum(axis=2).argmax(axis=1)
    return by_rank[np.arange(len(draws)), busiest]


def _even(experts: int, pairs: int, ep: int) -> Array:
    """The remainder dealt out rank by rank."""
    counts = np.full(experts, pairs // experts, np.float64)
    order = np.arange(experts).reshape(ep, experts // ep).T.ravel()
    counts[order[: pairs % experts]] += 1
    return counts


def _power_law(alpha: float, experts: int, topk: int, tokens: int, seed: list[int]) -> Array:
    pairs = topk * tokens
    low, high = (1.0, 0.8 * tokens) if pairs > experts else (0.01, 2.0)
    u = np.random.default_rng(seed).random(experts)
    least, most = low ** (1.0 - alpha), max(high, low) ** (1.0 - alpha)
    wanted = (least + (most - least) * u) ** (1.0 / (1.0 - alpha))
    wanted *= pairs / wanted.sum()
    counts = np.minimum(np.floor(wanted), tokens)
    order = np.argsort(np.floor(wanted) - wanted, kind="stable")
    while (short := round(pairs - float(counts.sum()))) > 0:
        open_to = order[counts[order] < tokens][:short]
        counts[open_to] += 1
    return counts

"""Analytic time of an MoE layer's routed experts: two grouped products over the sampled loads.

For the rank loads {n_e} and each product (N = 2·inter, K = hidden; then N = hidden, K = inter):
  tiles = Σ_e ⌈n_e/b_m⌉ · ⌈N/b_n⌉,  waves = ⌈tiles/n_c⌉,  weight bytes = active experts · N·K·w
  t     = min over tiles of ‖waves·t_tile, t_mem‖_p             t_tile as in a plain product
  T     = t_fix + t_1 + t_2 + m_io·(2·tokens·hidden + pairs·(4·hidden + 6·inter))·(1/B_a + u/V)
Kernels that do not compact a rank's own pairs (`moe_own_pairs` 0) have intermediates for the pairs of all
ranks and go through them, so that more ranks make the products shorter but not what surrounds them.
The slowest rank counts; the time is the mean over the seeded draws. What it takes beyond the mean rank is
waiting (imbalance).

Most of its accuracy rests on exact loads with tile padding (docs/operators.md).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sim.models.dtypes import bytes_per_value, weight_bytes_per_value
from sim.operators import Experts
from sim.operators.loads import TILE_ROWS
from sim.operators.quantities import Array
from sim.timing.passes import Kernel, Pass, streamed
from sim.timing.priced import Priced, norm
from sim.timing.products import tile_time, wave_time
from sim.timing.rates import Rates, share
from sim.timing.tiles import COLUMN_TILES, DEPTH, LARGE_TILES, tile_bytes


@dataclass(frozen=True, slots=True)
class _Product:
    """One grouped product by (case, draw, rank): s on the cores, in memory, merged; tile steps of a core."""

    on_core: Array
    memory: Array
    merged: Array
    steps: Array


def price_experts(experts: Experts, rates: Rates) -> Priced:
    """Time of one layer's routed experts over all cases."""
    k = rates.kernels
    compute = memory = np.zeros_like(experts.loads.pairs)
    for product in _products(experts, rates):
        of_cores = np.minimum(product.on_core / np.maximum(product.merged, 1e-30), 1.0) ** k.overlap_norm
        compute = compute + product.merged * of_cores
        memory = memory + product.merged * (1.0 - of_cores)
    around = _around(experts, rates)
    compute, memory = (
        compute + around * rates.kernels.moe_io_ops / rates.vector,
        memory + around / rates.activations,
    )
    whole = compute + memory
    of_cores, of_memory = compute.mean(axis=(1, 2)), memory.mean(axis=(1, 2))
    waiting = (whole.max(axis=2) - whole.mean(axis=2)).mean(axis=1)
    launch = np.full_like(waiting, k.moe_launch + rates.gap)
    return Priced(launch, of_cores, of_memory, np.zeros_like(waiting), waiting)


def experts_passes(experts: Experts, rates: Rates) -> Kernel:
    """The same kernel as passes: the two products and the rows streamed around them. All ranks meet again
    after it, so each pass has the most that any rank needs of each engine, its mean over the draws."""
    products, around = _products(experts, rates), _around(experts, rates)

    def passes(of_ranks: Callable[[Array], Array]) -> tuple[Pass, ...]:
        rows = of_ranks(around)
        zero, one = np.zeros_like(rows), np.ones_like(rows)
        return (
            *(
                Pass(of_ranks(p.on_core), zero, of_ranks(p.memory), of_ranks(p.memory), of_ranks(p.steps))
                for p in products
            ),
            streamed(rows / rates.activations, rates.activations, rates.cores, zero, zero),
            Pass(zero, rows * rates.kernels.moe_io_ops / rates.vector, zero, zero, one),
        )

    slowest = passes(lambda by_rank: by_rank.max(axis=2).mean(axis=1))
    launch = np.full_like(slowest[0].memory, rates.kernels.moe_launch + rates.gap)
    return Kernel(launch, slowest, passes(lambda by_rank: by_rank.mean(axis=(1, 2))))


def _around(experts: Experts, rates: Rates) -> Array:
    """Bytes of rows moved into, between and out of the products, by (case, draw, rank)."""
    k, loads = rates.kernels, experts.loads
    own = k.moe_own_pairs > 0
    pairs = loads.pairs if own else loads.all_pairs[:, None, None] + np.zeros_like(loads.pairs)
    tokens = experts.handled if own else loads.tokens[:, None, None]
    rows = 2.0 * tokens * experts.hidden + pairs * (4.0 * experts.hidden + 6.0 * experts.inter)
    return share(k.moe_io_passes, experts.arithmetic) * rows


def _products(experts: Experts, rates: Rates) -> tuple[_Product, _Product]:
    return (
        _grouped(experts, experts.up_columns, experts.hidden, rates),
        _grouped(experts, experts.hidden, experts.inter, rates),
    )


def _grouped(experts: Experts, columns: int, inner: int, rates: Rates) -> _Product:
    """One grouped product with the fastest tiles for each rank's load."""
    k, loads = rates.kernels, experts.loads
    sides = [n for n in (*COLUMN_TILES, *LARGE_TILES) if n <= 256 or tile_bytes(256, n) <= rates.scratchpad]
    m = np.repeat(np.array(TILE_ROWS, np.float64), len(sides))
    n = np.tile(np.array(sides, np.float64), len(TILE_ROWS))
    depth = np.array([np.ceil(inner / DEPTH) * DEPTH])
    mma = share(k.moe_mma, experts.arithmetic)
    per_tile = tile_time(rates, mma, m, n, depth, experts.weights, experts.arithmetic, k.moe_unpack)
    tiles = np.repeat(loads.tiles, len(sides), axis=3) * np.ceil(columns / n)
    waves = np.ceil(tiles / rates.cores)
    on_core = wave_time(rates, waves, per_tile)
    io = loads.pairs * (inner * bytes_per_value(experts.activations) + 2.0 * columns)
    weights = loads.active * (columns * inner * weight_bytes_per_value(experts.weights))
    memory = (weights + io) / rates.drawn(k.moe_hbm, experts.access)
    merged = norm(k.overlap_norm, on_core, memory[..., None])
    best = merged.argmin(axis=3)[..., None]

    def chosen(part: Array) -> Array:
        return np.take_along_axis(part, best, axis=3)[..., 0]

    return _Product(chosen(on_core), memory, chosen(merged), chosen(waves) * (depth[0] / DEPTH))

"""Analytic time of an MoE layer's routed experts: two grouped products over the sampled loads.

For the rank loads {n_e} and each product (N = 2·inter, K = hidden; then N = hidden, K = inter):
  tiles = Σ_e ⌈n_e/b_m⌉ · ⌈N/b_n⌉,  waves = ⌈tiles/n_c⌉,  weight bytes = active experts · N·K·w
  t     = min over tiles of ‖waves·t_tile, t_mem‖_p             t_tile as in a plain product
  T     = t_fix + t_1 + t_2 + m_io·(2·tokens·hidden + pairs·(4·hidden + 6·inter))/B
Kernels that do not compact a rank's own pairs (`moe_own_pairs` 0) have intermediates for the pairs of all
ranks and go through them, so that more ranks make the products shorter but not what surrounds them.
The slowest rank counts; the time is the mean over the seeded draws. What it takes beyond the mean rank is
waiting (imbalance).

Most of its accuracy rests on exact loads with tile padding (docs/operators.md).
"""

import numpy as np

from sim.models.dtypes import bytes_per_value, weight_bytes_per_value
from sim.operators import Experts
from sim.operators.loads import TILE_ROWS
from sim.operators.quantities import Array
from sim.timing.priced import Priced, norm
from sim.timing.products import COLUMN_TILES, DEPTH, LARGE_TILES, tile_bytes, tile_time, wave_time
from sim.timing.rates import Rates, share


def price_experts(experts: Experts, rates: Rates) -> Priced:
    """Time of one layer's routed experts over all cases."""
    k, loads = rates.kernels, experts.loads
    first_core, first_memory = _grouped(experts, experts.up_columns, experts.hidden, rates)
    second_core, second_memory = _grouped(experts, experts.hidden, experts.inter, rates)
    own = k.moe_own_pairs > 0
    pairs = loads.pairs if own else loads.all_pairs[:, None, None]
    tokens = experts.handled if own else loads.tokens[:, None, None]
    around = 2.0 * tokens * experts.hidden + pairs * (4.0 * experts.hidden + 6.0 * experts.inter)
    streamed = share(k.moe_io_passes, experts.arithmetic) * around / rates.hbm
    compute, memory = first_core + second_core, first_memory + second_memory + streamed
    slowest = (compute + memory).max(axis=2).mean(axis=1)
    of_cores, of_memory = compute.mean(axis=(1, 2)), memory.mean(axis=(1, 2))
    launch = np.full_like(slowest, k.moe_launch + rates.gap)
    waiting = np.maximum(slowest - (of_cores + of_memory), 0.0)
    return Priced(launch, of_cores, of_memory, np.zeros_like(slowest), waiting)


def _grouped(experts: Experts, columns: int, inner: int, rates: Rates) -> tuple[Array, Array]:
    """(core, memory) seconds of one grouped product by (case, draw, rank), the fastest tiles for each."""
    k, loads = rates.kernels, experts.loads
    sides = [n for n in (*COLUMN_TILES, *LARGE_TILES) if n <= 256 or tile_bytes(256, n) <= rates.scratchpad]
    m = np.repeat(np.array(TILE_ROWS, np.float64), len(sides))
    n = np.tile(np.array(sides, np.float64), len(TILE_ROWS))
    depth = np.array([np.ceil(inner / DEPTH) * DEPTH])
    mma = share(k.moe_mma, experts.arithmetic)
    per_tile = tile_time(rates, mma, m, n, depth, experts.weights, experts.arithmetic, k.moe_unpack)
    tiles = np.repeat(loads.tiles, len(sides), axis=3) * np.ceil(columns / n)
    on_core = wave_time(rates, np.ceil(tiles / rates.cores), per_tile)
    io = loads.pairs * (inner * bytes_per_value(experts.activations) + 2.0 * columns)
    weights = loads.active * (columns * inner * weight_bytes_per_value(experts.weights))
    memory = ((weights + io) / (k.moe_hbm * rates.hbm))[..., None]
    merged = norm(k.overlap_norm, on_core, memory)
    best = merged.argmin(axis=3)[..., None]
    total = np.take_along_axis(merged, best, axis=3)[..., 0]
    of_cores = np.take_along_axis(on_core, best, axis=3)[..., 0] / np.maximum(total, 1e-30)
    of_cores = np.minimum(of_cores, 1.0) ** k.overlap_norm
    return total * of_cores, total * (1.0 - of_cores)

"""Analytic time of a matrix product: the fastest kernel of a tile menu, or of those a library would take.

For row tile b_m, column tile b_n and split-K s, on n_c cores with K' = ⌈K/s/64⌉·64:
  tiles  = batch·⌈M/b_m⌉·⌈N/b_n⌉·s,  waves = ⌈tiles/n_c⌉
  t_tile = max( 2·[b_m·b_n·K']/(η_c·P/n_c), (b_m·a + b_n·w)·K'/(η_f·F/n_c), τ_k·K'·a/128 )
           + [stored type must be unpacked] u·b_n·K'/(V/n_c) + 2·b_m·b_n/(η_f·F/n_c)
  t_mem  = max( (W + A + C)/(η_b·B_s), first tile's weights at one core's share c·η_b·B_s/n_c )
  T = t0 + min over the menu of ‖waves·(t_tile + τ), t_mem‖_p + [s > 1]·(τ_s + 8·s·M·N/(η_f·F))
t0 launch and gap to the next kernel, P matrix peak, V vector peak, F operand feed (L2 or scratchpad fill),
B_s HBM as DRAM gives it to a stream; a, w bytes of an operand value; [·] the multiplications of a rigid array
(sim.timing.matrix_array). u is the family's `gemm_unpack`, c its `gemm_core_hbm`, τ_k its `gemm_step`, least
time of one step of 128 B along K, and τ its `tile_latency`, paid once where a core prefetches its next tile.
Every candidate grows with M, so their minimum does. Operands are read once even where they exceed the shared
memory.

A library that goes by rules (sim.hardware.tiling) takes whole clusters of tiles, of which only rows that are
there are fed, and ρ·t_tile/b_m of a core for each row beyond M (`gemm_beyond`); its times can fall where a
rule takes over from another.

Form, constants and how well they fit: docs/operators.md.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sim.hardware.tiling import tiles_taken
from sim.models.dtypes import bytes_per_value, weight_bytes_per_value
from sim.operators import WEIGHTS, Gemm
from sim.operators.quantities import Array
from sim.timing.passes import Kernel, Pass
from sim.timing.priced import Priced, norm
from sim.timing.rates import Rates, share
from sim.timing.tiles import DEPTH, Menu, ruled_tiles, searched_tiles

STEP_BYTES = 128.0
"""What one step of a core's pipeline holds of an operand's row: a line of cache, and shared memory's widest
swizzle."""
ACCUMULATOR_BYTES = 8.0
"""A split's partial sums are written and read once in fp32."""


def tile_time(
    rates: Rates,
    mma: float,
    rows: Array,
    columns: Array,
    depth: Array,
    weights: str,
    arithmetic: str,
    unpack: float,
    step: float = 0.0,
    fed: Array | None = None,
) -> Array:
    """t_tile of tiles rows × columns × depth; `unpack` is u, vector operations per stored weight.

    Args:
        step: s, the least time of one step of the inner loop where nothing else keeps a core busy meanwhile.
        fed: rows of a tile that are there, if not all.
    """
    k, array = rates.kernels, rates.array
    feed = k.gemm_feed * rates.feed / rates.cores
    multiplied = rows * columns * depth if array is None else array.multiplied(rows, columns, depth)
    multiply = 2.0 * multiplied * (rates.cores / (mma * rates.peak(arithmetic)))
    fed = rows if fed is None else fed
    operands = (fed * bytes_per_value(arithmetic) + columns * weight_bytes_per_value(weights)) * depth / feed
    steps = depth * bytes_per_value(arithmetic) / STEP_BYTES
    inner = np.maximum(np.maximum(multiply, operands), step * steps)
    if weights != arithmetic and not rates.mixes(weights, arithmetic):
        inner = inner + unpack * columns * depth * rates.cores / rates.vector
    filled = inner if array is None else inner + array.fill
    return filled + 2.0 * rows * columns / feed


def wave_time(rates: Rates, waves: Array, per_tile: Array) -> Array:
    """Seconds of the cores: every wave's tile, and its latency where a core cannot hide it."""
    latency = rates.kernels.tile_latency
    return waves * per_tile + latency if rates.prefetches else waves * (per_tile + latency)


@dataclass(frozen=True, slots=True)
class Kernels:
    """What the kernels of one product's menu cost, whatever its rows (one entry per menu place).

    Attributes:
        row_tiles: rows of a tile; clusters: tiles of a cluster along the rows.
        tiles_per_row_tile: tiles that a row of tiles has.
        per_tile: s; steps: of `DEPTH` in a tile; first_tile: s to draw the first tile's weights at one core's
            share of HBM.
        reduction: s a split costs, and reduction_per_row: s it costs more for each row.
        beyond: s that each row of a tile beyond the product's last costs.
        least, most: rows for which the kernel exists.
    """

    row_tiles: Array
    clusters: Array
    tiles_per_row_tile: Array
    per_tile: Array
    steps: Array
    first_tile: Array
    reduction: Array
    reduction_per_row: Array
    beyond: Array
    least: Array
    most: Array


@lru_cache(maxsize=1024)
def product_kernels(
    rates: Rates, inner: int, columns: int, batch: int, weights: str, arithmetic: str
) -> Kernels:
    """The menu of one product on one chip."""
    k, menu = rates.kernels, _menu(rates, inner, columns, batch, arithmetic)
    depth = np.ceil(inner / menu.splits / DEPTH) * DEPTH
    mma = share(k.gemm_mma, arithmetic)
    width, hbm = weight_bytes_per_value(weights), rates.drawn(k.gemm_hbm, WEIGHTS)
    split = menu.splits > 1
    written = ACCUMULATOR_BYTES * columns / (k.gemm_feed * rates.feed)
    across = np.ceil(np.ceil(columns / menu.columns) / menu.cluster_columns) * menu.cluster_columns
    fed = np.minimum(menu.rows, menu.most)
    per_tile = tile_time(
        rates, mma, menu.rows, menu.columns, depth, weights, arithmetic, k.gemm_unpack, k.gemm_step, fed
    )
    slower = k.gemm_beyond if k.gemm_tiles else 0.0
    return Kernels(
        menu.rows,
        menu.cluster_rows,
        batch * across * menu.splits,
        per_tile,
        depth / DEPTH,
        menu.columns * depth * width * rates.cores / (k.gemm_core_hbm * hbm),
        np.where(split, k.split_k_launch, 0.0),
        np.where(split, menu.splits * written, 0.0),
        slower * batch * across / rates.cores * per_tile / menu.rows,
        menu.least,
        menu.most,
    )


def _menu(rates: Rates, inner: int, columns: int, batch: int, arithmetic: str) -> Menu:
    """The tiles that the library takes, or those that it tries."""
    k = rates.kernels
    if k.gemm_tiles:
        return ruled_tiles(tiles_taken(k.gemm_tiles, columns, inner))
    splits = batch == 1 and share(k.gemm_split_k, arithmetic) > 0
    return searched_tiles(rates.scratchpad, splits, share(k.gemm_largest_tile, arithmetic))


@dataclass(frozen=True, slots=True)
class _Chosen:
    """The fastest kernel of each case: its waves, s on the cores, in memory, merged, and for its split."""

    waves: Array
    steps: Array
    on_core: Array
    memory: Array
    merged: Array
    reduction: Array


def price_gemm(gemm: Gemm, rates: Rates) -> Priced:
    """Time of one product over all cases: the norm shared out between cores and memory."""
    k, best = rates.kernels, _choose(gemm, rates)
    of_cores = (best.on_core / best.merged) ** k.overlap_norm
    return Priced(
        np.full_like(best.merged, k.gemm_launch + rates.gap),
        best.merged * of_cores + best.reduction,
        best.merged * (1.0 - of_cores),
        np.zeros_like(best.merged),
    )


def gemm_passes(gemm: Gemm, rates: Rates) -> Kernel:
    """The same kernel as passes: the product itself, then the reduction of its splits."""
    k, best = rates.kernels, _choose(gemm, rates)
    zero = np.zeros_like(best.merged)
    product = Pass(best.on_core, zero, best.memory, _memory(gemm, rates), best.waves * best.steps)
    reduction = Pass(zero, best.reduction, zero, zero, np.ones_like(zero))
    return Kernel(np.full_like(zero, k.gemm_launch + rates.gap), (product, reduction))


def _choose(gemm: Gemm, rates: Rates) -> _Chosen:
    k, rows = rates.kernels, gemm.rows[:, None]
    menu = product_kernels(rates, gemm.inner, gemm.columns, gemm.batch, gemm.weights, gemm.arithmetic)
    row_tiles = np.ceil(rows / (menu.row_tiles * menu.clusters)) * menu.clusters
    waves = np.ceil(row_tiles * menu.tiles_per_row_tile / rates.cores)
    on_core = wave_time(rates, waves, menu.per_tile) + menu.beyond * (row_tiles * menu.row_tiles - rows)
    memory = np.maximum(_memory(gemm, rates)[:, None], menu.first_tile)
    merged = norm(k.overlap_norm, on_core, memory)
    reduction = menu.reduction + menu.reduction_per_row * rows
    total = np.where((rows < menu.least) | (rows > menu.most), np.inf, merged + reduction)
    best = total.argmin(axis=1)[:, None]

    def chosen(part: Array) -> Array:
        return np.take_along_axis(part, best, axis=1)[:, 0]

    steps = menu.steps[best[:, 0]]
    return _Chosen(chosen(waves), steps, chosen(on_core), chosen(memory), chosen(merged), chosen(reduction))


def _memory(gemm: Gemm, rates: Rates) -> Array:
    """Seconds of the shared level and of HBM, the longer of the two."""
    moved = gemm.hbm_bytes
    missed = rates.from_hbm(moved, moved + rates.repeated(gemm.weight_bytes))
    hbm = rates.drawn(rates.kernels.gemm_hbm, gemm.access)
    return np.maximum(missed / hbm, rates.from_shared(moved))

"""Analytic time of attention kernels.

Prefill (per layer, all chunks in one launch; tiles of 128 queries × 128 keys, n_c cores):
  pair = ‖2(d + d_v)/(η_c·P/n_c), 1/(η_s·X/n_c)‖_p       seconds per score on one core: multiply, softmax
  CTAs = heads·query tiles (at least one per KV head and chunk),  W = CTAs/n_c,
  wq   = 1 + (⌈W⌉/W − 1)/query tiles
  t_c  = ‖longest·128²·pair, heads·tiles·128²·pair/n_c·wq‖₄ + ⌈W⌉·τ
  T    = t0 + ‖t_c, bytes/B‖_p + m_pre·(bytes of new queries, keys, values)/B
Decode (per layer, all sequences; work items of one KV head of one sequence, split along the context):
  g    = query heads per KV head, times query tokens, padded to 64 rows of the matrix engine
  T    = t0 + ‖KV + io over η_b·B, compute, one item's piece at one core's share c·η_b·B/n_c‖_p
  compute = max( 2·n·kv·g·L(d + d_v)/(η_c·P), scores/(η_s·X) )
  A kernel that does not split the context has a core walk all of it, ⌈n·kv·⌈g/64⌉/n_c⌉ times in turn.
A recurrence: T = t0 + ‖bytes/(η_b·B), flops/rate‖_p, chunks on matrix engines, single steps on vectors.

τ is the family's `prefill_tile_latency`, start and end of one block of queries, paid once where a core
prefetches the next; c is its `decode_core_hbm`.

Form, constants and how well they fit: docs/operators.md.
"""

from dataclasses import dataclass
from math import ceil

import numpy as np

from sim.operators import DecodeAttention, PrefillAttention, StateUpdate
from sim.operators.chunks import TILE
from sim.operators.quantities import ACTIVATION_BYTES, Array
from sim.timing.priced import Priced, norm, overlapped
from sim.timing.rates import Rates, share

MATRIX_ROWS = 64
"""Rows to which a decode's query heads are padded on the matrix engine: such kernels' smallest row tile."""
PIECE = 256
"""Shortest piece of context that a decode work item is split into: shorter ones cost more to merge than they
share out."""


def price_prefill(attention: PrefillAttention, rates: Rates) -> tuple[float, float, float]:
    """(launch, compute, hbm) seconds of one execution, in plain floats: engines ask at every mixed step."""
    work, heads, k, p = attention.work, attention.heads, rates.kernels, rates.kernels.overlap_norm
    dims, cores = heads.qk_dim + heads.v_dim, rates.cores
    multiply = 2.0 * dims / (share(k.prefill_mma, heads.arithmetic) * rates.peak(heads.arithmetic))
    softmax = 1.0 / (k.prefill_exp * rates.exp)
    tile = TILE * TILE * cores * (multiply**p + softmax**p) ** (1.0 / p)
    row_tiles = work.rows / TILE
    waves = max(heads.query * row_tiles, heads.kv * work.chunks) / cores
    tail = 1.0 + (ceil(waves) / waves - 1.0) / max(row_tiles, 1.0)
    longest, spread = work.longest * tile, heads.query * work.tiles * tile / cores * tail
    starts = 1 if rates.prefetches else ceil(waves)
    compute = (longest**4 + spread**4) ** 0.25 + starts * k.prefill_tile_latency
    memory = (work.rows * heads.io_bytes + work.seen_rows * heads.cache_bytes) / rates.hbm
    fresh = work.rows * (heads.query * heads.qk_dim + heads.cache_values) * ACTIVATION_BYTES
    merged = (compute**p + memory**p) ** (1.0 / p)
    of_compute = merged * (compute / merged) ** p
    by_cache = k.mla_prefill_passes if attention.expanded else k.prefill_passes
    passes = share(by_cache, heads.cache) * fresh / rates.hbm
    return k.prefill_launch + rates.gap, of_compute, merged - of_compute + passes


def price_decode(attention: DecodeAttention, rates: Rates) -> Priced:
    """Time of the decodes over all cases; nothing where there are none."""
    k, p = rates.kernels, rates.kernels.overlap_norm
    kernel = decode_kernel(attention, rates)
    hbm = kernel.hbm * rates.hbm
    compute = np.maximum(
        _padding(attention) * attention.flops / kernel.rate,
        attention.exps / (k.prefill_exp * rates.exp),
    )
    moved = attention.hbm_bytes
    memory = np.maximum(rates.from_hbm(moved, moved) / hbm, rates.from_shared(moved))
    if kernel.splits:
        memory = norm(p, memory, _one_piece(attention, rates, hbm))
    else:
        compute = np.maximum(compute, _one_sequence(attention, rates, kernel.rate))
    priced = overlapped(np.full_like(compute, kernel.launch + rates.gap), compute, memory, p)
    some = (attention.sequences > 0).astype(np.float64)
    return Priced(priced.launch * some, priced.compute * some, priced.hbm * some, priced.link)


@dataclass(frozen=True, slots=True)
class DecodeKernel:
    """Parameters of one decode kernel: share of HBM, FLOP/s of all cores, s of launch, whether it splits a
    context over cores."""

    hbm: float
    rate: float
    launch: float
    splits: bool


def decode_kernel(attention: DecodeAttention, rates: Rates) -> DecodeKernel:
    """The family's kernel for these heads and this type of cache."""
    heads, k = attention.heads, rates.kernels
    peak = rates.peak(heads.arithmetic)
    if attention.latent:
        hbm = k.mla_decode_hbm * share(k.mla_decode_cache, heads.cache)
        return DecodeKernel(hbm, k.mla_decode_mma * peak, k.mla_decode_launch, k.mla_decode_split > 0)
    hbm = k.decode_hbm * share(k.decode_cache, heads.cache)
    return DecodeKernel(hbm, k.decode_mma * peak, k.decode_launch, splits=True)


def _blocks(attention: DecodeAttention) -> int:
    """Blocks of matrix rows that hold the queries of one KV head."""
    return ceil(_rows(attention) / MATRIX_ROWS)


def _rows(attention: DecodeAttention) -> float:
    return attention.queries * attention.heads.query / attention.heads.kv


def _padding(attention: DecodeAttention) -> float:
    """Matrix rows computed per row asked for."""
    return _blocks(attention) * MATRIX_ROWS / _rows(attention)


def _one_sequence(attention: DecodeAttention, rates: Rates, rate: float) -> Array:
    """Time of cores that each walk the whole context of one sequence, KV head and block of query heads."""
    heads, mean = attention.heads, _mean_context(attention)
    waves = np.ceil(attention.sequences * heads.kv * _blocks(attention) / rates.cores)
    return waves * mean * 2.0 * MATRIX_ROWS * (heads.qk_dim + heads.v_dim) * rates.cores / rate


def _mean_context(attention: DecodeAttention) -> Array:
    return attention.context / np.maximum(attention.sequences, 1e-9)


def _one_piece(attention: DecodeAttention, rates: Rates, hbm: float) -> Array:
    """Time in which one core draws one work item's piece of cache, at most `PIECE` tokens of one KV head."""
    piece = 1.0 / (1.0 / np.maximum(_mean_context(attention), 1e-9) + 1.0 / PIECE)
    per_token = attention.heads.cache_bytes / attention.heads.kv
    return piece * per_token * rates.cores / (rates.kernels.decode_core_hbm * hbm)


def price_state(update: StateUpdate, rates: Rates) -> Priced:
    """Time of a recurrence over all cases."""
    k = rates.kernels
    rate = (
        share(k.prefill_mma, update.arithmetic) * rates.peak(update.arithmetic)
        if update.chunked
        else rates.vector
    )
    memory = update.hbm_bytes / (k.decode_hbm * rates.hbm)
    launch = np.where(update.tokens > 0, k.decode_launch + rates.gap, 0.0)
    return overlapped(launch, update.flops / rate, memory, k.overlap_norm)

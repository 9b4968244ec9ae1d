"""Analytic time of attention kernels.

Prefill (per layer, all chunks in one launch; tiles of 128 queries × 128 keys, n_c cores):
  pair = ‖2(d + d_v)/(η_c·P/n_c), 1/(η_s·X/n_c)‖_p       seconds per score on one core: multiply, softmax
  CTAs = heads·query tiles (at least one per KV head and chunk),  W = CTAs/n_c,
  wq   = 1 + (⌈W⌉/W − 1)/query tiles
  t_c  = ‖longest·128²·pair, heads·tiles·128²·pair/n_c·wq‖₄ + ⌈W⌉·τ
  T    = t0 + ‖t_c, bytes/B_g‖_p + m_pre·(bytes of new queries, keys, values)/B_f
Decode (per layer, all sequences; work items of one KV head of one sequence, split along the context):
  g    = query heads per KV head, times query tokens, padded to 64 rows of the matrix engine; of a rigid array
         (sim.timing.matrix_array) to the fewest rows that keep it busy, and its heads to its sides
  T    = t0 + ‖(KV/B_g + (new KV + io)/B_w)/η_b, compute, an item's piece at a core's share c·η_b·B_g/n_c‖_p
  compute = max( 2·n·kv·g·L(d + d_v)/(η_c·P), scores/(η_s·X) + KV values·u/V )     u the family's `*_convert`
  A kernel that does not split the context has a core walk all of it, ⌈n·kv·⌈g/64⌉/n_c⌉ times in turn.
A recurrence: T = t0 + ‖bytes/(η_b·B_a), flops/rate‖_p, chunks on matrix engines, single steps on vectors.

B_g, B_w, B_a are what DRAM gives to blocks of cache gathered, rows written, activations: peak · f_dram. B_f
is the bandwidth of the shared memory, which holds the new rows; B_a for expanded latents and where there is
none.

τ is the family's `prefill_tile_latency`, start and end of one block of queries, paid once where a core
prefetches the next; c is its `decode_core_hbm`.

Form, constants and how well they fit: docs/operators.md.
"""

from dataclasses import dataclass
from math import ceil

import numpy as np

from sim.operators import DecodeAttention, Heads, PrefillAttention, StateUpdate
from sim.operators.chunks import TILE
from sim.operators.quantities import ACTIVATION_BYTES, Array
from sim.timing.passes import STREAM_SLICE, Kernel, Pass, streamed
from sim.timing.priced import Priced, norm, overlapped
from sim.timing.rates import Rates, share

RELU_AND_SUM = 3.0
"""Vector operations of an indexer's score: the larger of it and 0, times its head's weight, added up."""
MATRIX_ROWS = 64
"""Rows to which a decode's query heads are padded on the matrix engine: such kernels' smallest row tile."""
PIECE = 256
"""Shortest piece of context that a decode work item is split into: shorter ones cost more to merge than they
share out."""


@dataclass(frozen=True, slots=True)
class PrefillWork:
    """One prefill attention in plain seconds: multiplications, softmax, starts of tiles, bytes against
    HBM, further passes over new rows in HBM and in the shared memory; and the tile steps of one core."""

    multiply: float
    softmax: float
    starts: float
    memory: float
    passes: float
    on_chip: float
    steps: float


def prefill_work(attention: PrefillAttention, rates: Rates) -> PrefillWork:
    """What the kernel asks of the cores and of HBM, in plain floats: engines ask at every mixed step."""
    work, heads, k = attention.work, attention.heads, rates.kernels
    dims, cores = heads.qk_dim + heads.v_dim, rates.cores
    tile = TILE * TILE * cores
    dims = dims if rates.array is None else dims * rates.array.of_heads(heads.qk_dim, heads.v_dim)
    multiply = tile * 2.0 * dims / (share(k.prefill_mma, heads.arithmetic) * rates.peak(heads.arithmetic))
    softmax = tile * _of_score(heads, rates)
    row_tiles = work.rows / TILE
    waves = max(heads.query * row_tiles, heads.kv * work.chunks) / cores
    tail = 1.0 + (ceil(waves) / waves - 1.0) / max(row_tiles, 1.0)
    spread = heads.query * work.tiles / cores * tail
    tiles = (work.longest**4 + spread**4) ** 0.25
    starts = 1 if rates.prefetches else ceil(waves)
    fresh = work.rows * (heads.query * heads.qk_dim + heads.cache_values) * ACTIVATION_BYTES
    by_cache = k.mla_prefill_passes if attention.expanded else k.prefill_passes
    passes = share(by_cache, heads.cache) * fresh
    on_chip = rates.shared > 0 and not attention.expanded
    return PrefillWork(
        tiles * multiply,
        tiles * softmax,
        starts * k.prefill_tile_latency,
        (work.rows * heads.io_bytes + work.seen_rows * heads.cache_bytes) / rates.achieved(attention.access),
        0.0 if on_chip else passes / rates.activations,
        passes / rates.shared if on_chip else 0.0,
        tiles,
    )


def price_prefill(attention: PrefillAttention, rates: Rates) -> tuple[float, float, float]:
    """(launch, compute, hbm) seconds of one execution."""
    work, k, p = prefill_work(attention, rates), rates.kernels, rates.kernels.overlap_norm
    compute = (work.multiply**p + work.softmax**p) ** (1.0 / p) + work.starts
    merged = (compute**p + work.memory**p) ** (1.0 / p)
    of_compute = merged * (compute / merged) ** p
    return k.prefill_launch + rates.gap, of_compute + work.on_chip, merged - of_compute + work.passes


def _of_score(heads: Heads, rates: Rates) -> float:
    """Seconds of all cores for what follows a score: its exponential, or an indexer's ReLU and sum."""
    if heads.scores_alone:
        return RELU_AND_SUM / rates.vector
    return 1.0 / (rates.kernels.prefill_exp * rates.exp)


def prefill_passes(attention: PrefillAttention, rates: Rates) -> Kernel:
    """The same kernel as passes: attention itself, then the further passes over new rows."""
    work = prefill_work(attention, rates)
    zero = np.zeros(1)
    memory = zero + work.memory
    attend = Pass(zero + work.multiply + work.starts, zero + work.softmax, memory, memory, zero + work.steps)
    rows = streamed(zero + work.passes, rates.activations, rates.cores, zero, zero)
    on_chip = Pass(zero, zero + work.on_chip, zero, zero, np.ones(1))
    return Kernel(zero + rates.kernels.prefill_launch + rates.gap, (attend, rows, on_chip))


@dataclass(frozen=True, slots=True)
class _DecodeWork:
    """One decode attention by case: launch; s of the two engines, of bytes alone and at what the working
    cores draw."""

    launch: Array
    multiply: Array
    softmax: Array
    bus: Array
    memory: Array


def price_decode(attention: DecodeAttention, rates: Rates) -> Priced:
    """Time of the decodes over all cases; nothing where there are none."""
    work = _decode_work(attention, rates)
    compute = np.maximum(work.multiply, work.softmax)
    priced = overlapped(work.launch, compute, work.memory, rates.kernels.overlap_norm)
    some = (attention.sequences > 0).astype(np.float64)
    return Priced(priced.launch, priced.compute * some, priced.hbm * some, priced.link)


def decode_passes(attention: DecodeAttention, rates: Rates) -> Kernel:
    """The same kernel as one pass; a core streams its share of the cache, at least one piece."""
    work = _decode_work(attention, rates)
    some = (attention.sequences > 0).astype(np.float64)
    steps = np.maximum(attention.hbm_bytes / rates.cores, _piece_bytes(attention)) / STREAM_SLICE
    one = Pass(work.multiply * some, work.softmax * some, work.memory * some, work.bus * some, steps)
    return Kernel(work.launch, (one,))


def _decode_work(attention: DecodeAttention, rates: Rates) -> _DecodeWork:
    kernel, k = decode_kernel(attention, rates), rates.kernels
    gather, append = (kernel.hbm * rates.achieved(a) for a in (attention.access, attention.appended))
    moved, seconds = attention.hbm_bytes, attention.read_bytes / gather + attention.new_bytes / append
    multiply = _padding(attention, rates) * attention.flops / kernel.rate
    bus = np.maximum(rates.from_hbm(seconds, moved), rates.from_shared(moved))
    memory = bus
    if kernel.splits:
        memory = norm(k.overlap_norm, bus, _one_piece(attention, rates, gather))
    else:
        multiply = np.maximum(multiply, _one_sequence(attention, rates, kernel.rate))
    launch = np.where(attention.sequences > 0, kernel.launch + rates.gap, 0.0)
    values = attention.context * attention.heads.cache_values
    convert = 0.0 if attention.heads.scores_alone else kernel.convert
    vector = attention.exps * _of_score(attention.heads, rates) + values * convert / rates.vector
    return _DecodeWork(launch, multiply, vector, bus, memory)


@dataclass(frozen=True, slots=True)
class DecodeKernel:
    """Parameters of one decode kernel: share of HBM, FLOP/s of all cores, vector operations per value of the
    cache, s of launch, whether it splits a context over cores."""

    hbm: float
    rate: float
    convert: float
    launch: float
    splits: bool


def decode_kernel(attention: DecodeAttention, rates: Rates) -> DecodeKernel:
    """The family's kernel for these heads and this type of cache."""
    heads, k = attention.heads, rates.kernels
    peak = rates.peak(heads.arithmetic)
    if attention.latent:
        ops = share(k.mla_decode_convert, heads.cache)
        rate, split = k.mla_decode_mma * peak, k.mla_decode_split > 0
        return DecodeKernel(k.mla_decode_hbm, rate, ops, k.mla_decode_launch, split)
    ops = share(k.decode_convert, heads.cache)
    return DecodeKernel(k.decode_hbm, k.decode_mma * peak, ops, k.decode_launch, splits=True)


def _block(rates: Rates) -> float:
    """Matrix rows that queries are padded to."""
    return MATRIX_ROWS if rates.array is None else rates.array.least_rows


def _blocks(attention: DecodeAttention, rates: Rates) -> int:
    """Blocks of matrix rows that hold the queries of one KV head."""
    return ceil(_rows(attention) / _block(rates))


def _rows(attention: DecodeAttention) -> float:
    return attention.queries * attention.heads.query / attention.heads.kv


def _padding(attention: DecodeAttention, rates: Rates) -> float:
    """Multiplications per multiplication asked for."""
    heads = 1.0
    if rates.array is not None:
        heads = rates.array.of_heads(attention.heads.qk_dim, attention.heads.v_dim)
    return heads * _blocks(attention, rates) * _block(rates) / _rows(attention)


def _one_sequence(attention: DecodeAttention, rates: Rates, rate: float) -> Array:
    """Time of cores that each walk the whole context of one sequence, KV head and block of query heads."""
    heads, mean = attention.heads, _mean_context(attention)
    block = _padding(attention, rates) * _rows(attention) / _blocks(attention, rates)
    waves = np.ceil(attention.sequences * heads.kv * _blocks(attention, rates) / rates.cores)
    return waves * mean * 2.0 * block * (heads.qk_dim + heads.v_dim) * rates.cores / rate


def _mean_context(attention: DecodeAttention) -> Array:
    return attention.context / np.maximum(attention.sequences, 1e-9)


def _one_piece(attention: DecodeAttention, rates: Rates, hbm: float) -> Array:
    """Time in which one core draws one work item's piece of cache."""
    return _piece_bytes(attention) * rates.cores / (rates.kernels.decode_core_hbm * hbm)


def _piece_bytes(attention: DecodeAttention) -> Array:
    """Cache of one work item: at most `PIECE` tokens of one KV head."""
    piece = 1.0 / (1.0 / np.maximum(_mean_context(attention), 1e-9) + 1.0 / PIECE)
    return piece * attention.heads.cache_bytes / attention.heads.kv


def price_state(update: StateUpdate, rates: Rates) -> Priced:
    """Time of a recurrence over all cases."""
    launch, compute, memory = _state_times(update, rates)
    return overlapped(launch, compute, memory, rates.kernels.overlap_norm)


def state_passes(update: StateUpdate, rates: Rates) -> Kernel:
    """The same kernel as one pass: chunks on the matrix engines, single steps on the vector engines."""
    launch, compute, memory = _state_times(update, rates)
    zero = np.zeros_like(memory)
    matrix, vector = (compute, zero) if update.chunked else (zero, compute)
    hbm = rates.kernels.decode_hbm * rates.achieved(update.access)
    return Kernel(launch, (streamed(memory, hbm, rates.cores, matrix, vector),))


def _state_times(update: StateUpdate, rates: Rates) -> tuple[Array, Array, Array]:
    """(launch, compute, memory) seconds."""
    k = rates.kernels
    rate = (
        share(k.prefill_mma, update.arithmetic) * rates.peak(update.arithmetic)
        if update.chunked
        else rates.vector
    )
    launch = np.where(update.tokens > 0, k.decode_launch + rates.gap, 0.0)
    return launch, update.flops / rate, update.hbm_bytes / (k.decode_hbm * rates.achieved(update.access))

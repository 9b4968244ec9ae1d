"""Prices of attention kernels as their benchmarks time them: one kernel over one cache, again and again."""

import numpy as np

from sim.operators import DecodeAttention, Heads, PrefillAttention
from sim.operators.chunks import chunk_work
from sim.operators.quantities import Array
from sim.timing.attention import price_decode, price_prefill
from sim.timing.measured.bench import CACHE, Bench, by_kernel
from sim.timing.measured.rows import Rows
from sim.timing.rates import Rates

LATENT, ROPE = 512, 64
NOPE, VALUE = 128, 128
"""Widths of DeepSeek's latent attention: the latent, the rotated part, a head without it, a head's value."""


def price_attention_decodes(rows: Rows, bench: Bench) -> Array:
    """Seconds of grouped-query decode attention; a window bounds what a query reads."""
    seconds = np.empty(rows.n)
    for (dtype, stack, kernel), same, places in by_kernel(rows):
        repeated = bench.repeated("attn_decode", dtype, stack, kernel)
        for (heads, kv, dim, window), at in same.alike(
            "num_heads", "num_kv_heads", "head_dim", "window_size"
        ):
            read = same.numbers("kv_len_past")[at] + 1.0
            read = np.minimum(read, float(window)) if float(window) > 0 else read
            of = _grouped(int(heads), int(kv), int(dim), dtype)
            seconds[places[at]] = _decodes(same.numbers("batch_size")[at], read, of, repeated, latent=False)
    return seconds


def price_latent_decodes(rows: Rows, bench: Bench) -> Array:
    """Seconds of absorbed MLA decode attention."""
    seconds = np.empty(rows.n)
    for (dtype, stack, kernel), same, places in by_kernel(rows):
        repeated = bench.repeated("mla_decode", dtype, stack, kernel)
        for (heads,), at in same.alike("num_heads"):
            read = same.numbers("kv_len_past")[at] + 1.0
            of = latent_heads(int(heads), dtype, repeated)
            seconds[places[at]] = _decodes(same.numbers("batch_size")[at], read, of, repeated, latent=True)
    return seconds


def price_attention_prefills(rows: Rows, bench: Bench) -> Array:
    """Seconds of causal grouped-query attention over whole prompts."""
    seconds = np.empty(rows.n)
    for (dtype, stack, kernel), same, places in by_kernel(rows):
        cold = bench.cold("attn_prefill", dtype, stack, kernel)
        for (heads, kv, dim, window), at in same.alike(
            "num_heads", "num_kv_heads", "head_dim", "window_size"
        ):
            of = _grouped(int(heads), int(kv), int(dim), dtype)
            seconds[places[at]] = _prefills(same.at(at), of, cold, int(window) or None)
    return seconds


def price_latent_prefills(rows: Rows, bench: Bench) -> Array:
    """Seconds of MLA prefill: expanded heads, or absorbed where the stack runs such prompts like decodes."""
    seconds = np.empty(rows.n)
    for (dtype, stack, kernel), same, places in by_kernel(rows):
        cold = bench.cold("mla_prefill", dtype, stack, kernel)
        for (heads, tokens), at in same.alike("num_heads", "isl"):
            absorbed = float(tokens) < cold.kernels.mla_prefill_expands
            of = latent_heads(int(heads), dtype, cold) if absorbed else expanded_heads(int(heads), dtype)
            seconds[places[at]] = _prefills(same.at(at), of, cold, None, expanded=True)
    return seconds


def latent_heads(heads: int, dtype: str, rates: Rates) -> Heads:
    """Absorbed: all heads score one latent per token, in the cache's type where the chip multiplies it."""
    width, cache = LATENT + ROPE, _cache(dtype)
    return Heads(heads, 1, width, LATENT, width, cache, cache if cache in rates.peaks else "bf16")


def expanded_heads(heads: int, dtype: str) -> Heads:
    """Expanded: keys and values per head."""
    width = NOPE + ROPE
    return Heads(heads, heads, width, VALUE, heads * (width + VALUE), _cache(dtype), _math(dtype))


def _grouped(heads: int, kv: int, dim: int, dtype: str) -> Heads:
    return Heads(heads, kv, dim, dim, 2 * kv * dim, _cache(dtype), _math(dtype))


def _math(dtype: str) -> str:
    return CACHE[dtype.partition("/")[0]]


def _cache(dtype: str) -> str:
    return CACHE[dtype.partition("/")[2]]


def _decodes(batch: Array, read: Array, of: Heads, rates: Rates, *, latent: bool) -> Array:
    return price_decode(DecodeAttention("decode", "", 1, batch, batch * read, of, latent), rates).total


def _prefills(rows: Rows, of: Heads, rates: Rates, window: int | None, expanded: bool = False) -> Array:
    """Prompts of `isl` tokens, `batch_size` of each."""
    batches = rows.numbers("batch_size").astype(int).tolist()
    lengths = rows.numbers("isl").astype(int).tolist()
    prompts = {length: chunk_work([(length, 0)], window) for length in set(lengths)}
    work = (prompts[length].times(batch) for length, batch in zip(lengths, batches, strict=True))
    return np.array(
        [sum(price_prefill(PrefillAttention("prefill", "", 1, w, of, expanded), rates)) for w in work]
    )

"""Prices of whole attention blocks of DeepSeek-V3: projections, absorption or expansion, attention, output.

A test of how operators add up: nothing in it has parameters of its own.
"""

import numpy as np

from sim.operators import Elementwise, Gemm
from sim.operators.quantities import ACTIVATION_BYTES, Array
from sim.timing.elementwise import price_elementwise
from sim.timing.measured.attention import (
    LATENT,
    NOPE,
    ROPE,
    VALUE,
    price_latent_decodes,
    price_latent_prefills,
)
from sim.timing.measured.bench import ARITHMETIC, Bench
from sim.timing.measured.dense import with_quantiser
from sim.timing.measured.rows import Rows
from sim.timing.products import price_gemm
from sim.timing.rates import Rates

HIDDEN, QUERY_RANK = 7168, 1536
"""DeepSeek-V3: width of the model, rank of the compressed queries (config.json)."""


def price_modules(rows: Rows, bench: Bench) -> Array:
    """Seconds of one layer's attention block on a rank of `num_heads` heads."""
    seconds = np.empty(rows.n)
    kinds = ("op", "gemm_dtype", "dtype", "kv_dtype", "framework", "num_heads")
    for (op, dtype, math, cache, stack, heads), places in rows.alike(*kinds):
        some = rows.at(places)
        decode = str(op).endswith("decode")
        tokens = some.numbers("batch_size") * (1.0 if decode else some.numbers("isl"))
        products = bench.repeated("gemm", str(dtype), str(stack), "")
        absorption = bench.repeated("mla_bmm", "bfloat16", str(stack), "")
        attention = price_latent_decodes(some, bench) if decode else price_latent_prefills(some, bench)
        expands = bench.kernels("mla_prefill", f"{math}/{cache}", str(stack), "").mla_prefill_expands
        seconds[places] = (
            attention
            + _projections(tokens, int(heads), str(dtype), products)
            + np.where(
                decode | (some.numbers("isl") < expands),
                _absorption(tokens, int(heads), absorption),
                _product(tokens, LATENT, int(heads) * (NOPE + VALUE), str(dtype), products),
            )
        )
    return seconds


def _projections(tokens: Array, heads: int, dtype: str, rates: Rates) -> Array:
    """Down to queries' and keys' latents, their two norms, up to the queries, and the output."""
    norms = Elementwise("norms", "", 1, tokens, 2 * ACTIVATION_BYTES * (QUERY_RANK + LATENT), 4.0 * HIDDEN)
    return (
        _product(tokens, HIDDEN, QUERY_RANK + LATENT + ROPE, dtype, rates)
        + 2.0 * price_elementwise(norms, rates).total
        + _product(tokens, QUERY_RANK, heads * (NOPE + ROPE), dtype, rates)
        + _product(tokens, heads * VALUE, HIDDEN, dtype, rates)
    )


def _product(tokens: Array, inner: int, columns: int, dtype: str, rates: Rates) -> Array:
    weights, activations, arithmetic = ARITHMETIC[dtype]
    gemm = Gemm("projection", "", 1, tokens, inner, columns, weights, activations, arithmetic)
    return with_quantiser(gemm, rates)


def _absorption(tokens: Array, heads: int, rates: Rates) -> Array:
    sides = ((NOPE, LATENT), (LATENT, VALUE))
    return sum(
        (
            price_gemm(
                Gemm("absorb", "", 1, tokens, inner, columns, "bf16", "bf16", "bf16", batch=heads), rates
            ).total
            for inner, columns in sides
        ),
        np.zeros_like(tokens),
    )

"""Prices of products, of MLA's absorption products and of quantisers, as their benchmarks time them.

A product's row contains the quantisation of its activations; its benchmark goes through several copies of the
weights (TensorRT-LLM: up to five, as many as exceed the shared memory; vLLM and SGLang six). vLLM's
block-scaled products are not timed in a graph: the device waits where the host takes longer to call them.
"""

import numpy as np

from sim.operators import Elementwise, Gemm
from sim.operators.products import quantiser
from sim.operators.quantities import ACTIVATION_BYTES, Array
from sim.timing.elementwise import price_elementwise
from sim.timing.measured.bench import ARITHMETIC, Bench, by_kernel
from sim.timing.measured.rows import Rows
from sim.timing.products import price_gemm
from sim.timing.rates import Rates

COPIES = {"trtllm": 5}
MOST_COPIES = 6
SEARCHES = 4
"""Launches that finding the largest value and making a scale of it takes beside the scaling itself."""
WIDENED = "dequant_bf16"
"""End of the name of kernels whose narrow weights were widened once, before they serve."""
LATENT, NOPE = 512, 128
"""DeepSeek's latent and the part of a head's width that it holds."""


def price_gemms(rows: Rows, bench: Bench) -> Array:
    """Seconds of products with their quantisers."""
    seconds = np.empty(rows.n)
    for (dtype, stack, kernel), same, places in by_kernel(rows):
        repeated = bench.repeated("gemm", dtype, stack, kernel, COPIES.get(stack, MOST_COPIES))
        weights, activations, arithmetic = ARITHMETIC[dtype]
        for (n, k), at in same.alike("n", "k"):
            m = same.numbers("m")[at]
            gemm = Gemm("gemm", "", 1, m, int(k), int(n), weights, activations, arithmetic)
            seconds[places[at]] = with_quantiser(gemm, repeated)
        seconds[places] = np.maximum(seconds[places], bench.eager("gemm", dtype, stack, kernel))
    return seconds


def price_absorptions(rows: Rows, bench: Bench) -> Array:
    """Seconds of the products that take a decode's queries into the latent space and its output back."""
    seconds = np.empty(rows.n)
    for (named, stack, kernel), same, places in by_kernel(rows):
        dtype = "bfloat16" if kernel.endswith(WIDENED) else named
        repeated = bench.repeated("mla_bmm", dtype, stack, kernel)
        weights, activations, arithmetic = ARITHMETIC[dtype]
        for (op, heads), at in same.alike("op", "num_heads"):
            inner, columns = (LATENT, NOPE) if str(op).endswith("post") else (NOPE, LATENT)
            tokens = same.numbers("num_tokens")[at]
            gemm = Gemm(
                "absorb", "", 1, tokens, inner, columns, weights, activations, arithmetic, batch=int(heads)
            )
            seconds[places[at]] = with_quantiser(gemm, repeated)
    return seconds


def price_quantisers(rows: Rows, bench: Bench) -> Array:
    """Seconds of single quantisation kernels: with a given scale, or after finding the largest value."""
    seconds = np.empty(rows.n)
    for (dtype, stack, kernel), _, places in by_kernel(rows):
        repeated = bench.repeated("elementwise", dtype, stack, kernel)
        values = rows.numbers("m")[places] * rows.numbers("k")[places]
        seconds[places] = price_elementwise(_stream(values, ACTIVATION_BYTES + 1.0), repeated).total
        finds = np.char.endswith(rows.words("op")[places], "amax")
        search = price_elementwise(_stream(values, ACTIVATION_BYTES), repeated).total
        seconds[places] += np.where(finds, search + (SEARCHES - 1) * bench.family.elementwise_launch, 0.0)
    return seconds


def _stream(values: Array, width: float) -> Elementwise:
    return Elementwise("quantise", "", 1, values, width, 2.0)


def with_quantiser(gemm: Gemm, rates: Rates) -> Array:
    """Seconds of a product and of the quantisation of its activations, if they are narrower than 16 bits."""
    seconds = price_gemm(gemm, rates).total
    if gemm.arithmetic == "bf16":
        return seconds
    return seconds + price_elementwise(quantiser(gemm), rates).total

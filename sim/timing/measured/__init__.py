"""Measured tables of single operators: reading them, and pricing their rows by the step's own formulas.

Each row is an operator with its shape, timed on one chip in one software stack.
"""

from collections.abc import Callable, Mapping

from sim.operators.quantities import Array
from sim.timing.measured.attention import (
    price_attention_decodes,
    price_attention_prefills,
    price_latent_decodes,
    price_latent_prefills,
)
from sim.timing.measured.bench import Bench
from sim.timing.measured.dense import price_absorptions, price_gemms, price_quantisers
from sim.timing.measured.experts import price_moe
from sim.timing.measured.modules import price_modules
from sim.timing.measured.rows import Rows

PRICES: Mapping[str, Callable[[Rows, Bench], Array]] = {
    "gemm": price_gemms,
    "mla_bmm": price_absorptions,
    "elementwise": price_quantisers,
    "attn_prefill": price_attention_prefills,
    "attn_decode": price_attention_decodes,
    "mla_prefill": price_latent_prefills,
    "mla_decode": price_latent_decodes,
    "mla_module": price_modules,
    "moe": price_moe,
}
"""Seconds of a table's rows on a bench."""

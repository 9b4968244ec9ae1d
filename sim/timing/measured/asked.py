"""A step's operator as the row of a table that would have measured it.

Of several names that a table may have for its types the first that it holds counts: fp8 weights with the
deployment's own scales, then with others; a cache with scores in the step's own type, then in another;
experts under balanced loads, since their own loads are in the price (sim.timing.experts), whose error is what
the table tells. Where tokens are sent to their experts, a kernel that went through the pairs of all ranks
when it was measured says nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sim.operators import DecodeAttention, Elementwise, Experts, Gemm, Operator, PrefillAttention
from sim.operators.quantities import Array
from sim.timing.measured.attention import LATENT, NOPE, ROPE, VALUE
from sim.timing.measured.bench import ARITHMETIC, CACHE
from sim.timing.measured.experts import UNGATED
from sim.timing.measured.rows import Column, Rows

Kind = tuple[str, str, str]
"""Type, cache's type and variant of a row, as tables name them."""

DISTRIBUTIONS = ("balanced", "power_law_1.01", "power_law_1.2")


@dataclass(frozen=True, slots=True)
class Asked:
    """What to look for.

    Attributes:
        table: which table; kinds: names to look for, the first found counts.
        sizes: columns of the shapes, by case.
        beyond: no table measures such a thing (drafts, a cached prefix, a window): at most its like.
    """

    table: str
    kinds: Sequence[Kind]
    sizes: Mapping[str, Array]
    beyond: bool = False

    def rows(self, kind: Kind, framework: str = "", kernel: str = "") -> Rows:
        """The shapes as rows of a kind."""
        n = len(next(iter(self.sizes.values())))
        dtype, cache, variant = kind
        named = variant.rpartition(" ")[2]
        words = {
            "dtype": dtype, "kv_dtype": cache, "op": named, "distribution": named, "framework": framework,
            "kernel": kernel,
        }  # fmt: skip
        columns: dict[str, Column] = {name: np.full(n, word) for name, word in words.items()}
        return Rows(self.table, columns | {k: np.asarray(v) for k, v in self.sizes.items()}, np.arange(n))


def asked(operator: Operator, blocks: bool = False) -> Asked | None:
    """What would have measured the operator; None where no table does.

    Args:
        blocks: fp8 weights have a scale per block of them, not per tensor.
    """
    match operator:
        case Gemm():
            return _product(operator, operator.rows, blocks)
        case Elementwise(before=Gemm() as product):
            return _product(product, operator.rows / product.batch, blocks)
        case DecodeAttention():
            return _decode(operator)
        case PrefillAttention():
            return _prefill(operator)
        case Experts():
            return _experts(operator, blocks)
        case _:
            return None


def _product(gemm: Gemm, rows: Array, blocks: bool) -> Asked | None:
    names = _names((gemm.weights, gemm.activations, gemm.arithmetic), blocks)
    if gemm.batch == 1:
        sizes = {"m": rows, "n": _same(gemm.columns, rows), "k": _same(gemm.inner, rows)}
        return Asked("gemm", [(name, "", "") for name in names], sizes)
    if {gemm.inner, gemm.columns} != {LATENT, NOPE}:
        return None
    op = "mla_gen_pre" if gemm.columns == LATENT else "mla_gen_post"
    sizes = {"num_tokens": rows, "num_heads": _same(gemm.batch, rows)}
    return Asked("mla_bmm", [(name, "", op) for name in names], sizes)


def _decode(attention: DecodeAttention) -> Asked | None:
    heads, sequences = attention.heads, attention.sequences
    context = attention.context / np.maximum(sequences, 1e-9)
    sizes = {
        "batch_size": np.maximum(sequences, 1e-9),
        "kv_len_past": np.maximum(context - 1.0, 1.0),
        "num_heads": _same(heads.query, sequences),
    }
    kinds, drafts = _attention_kinds(heads.arithmetic, heads.cache), attention.queries > 1
    if attention.latent:
        known = (heads.qk_dim, heads.v_dim) == (LATENT + ROPE, LATENT)
        return Asked("mla_decode", kinds, sizes, drafts) if known else None
    if heads.qk_dim != heads.v_dim:
        return None
    grouped = _grouped(heads.kv, heads.qk_dim, sequences)
    return Asked("attn_decode", kinds, sizes | grouped, drafts)


def _prefill(attention: PrefillAttention) -> Asked | None:
    """Chunks as so many prompts that are as long as what they see, in whole tiles."""
    heads, work = attention.heads, attention.work
    one = np.ones(1)
    sizes = {
        "batch_size": work.chunks * one,
        "isl": work.seen_rows / work.chunks * one,
        "num_heads": heads.query * one,
    }
    whole = work.seen_rows == work.rows
    kinds = _attention_kinds(heads.arithmetic, heads.cache)
    if heads.query == heads.kv and (heads.qk_dim, heads.v_dim) == (NOPE + ROPE, VALUE):
        return Asked("mla_prefill", kinds, sizes, not whole)
    if heads.qk_dim != heads.v_dim:
        return None
    return Asked("attn_prefill", kinds, sizes | _grouped(heads.kv, heads.qk_dim, one), not whole)


def _experts(experts: Experts, blocks: bool) -> Asked:
    loads = experts.loads
    ranks, like = loads.pairs.shape[2], loads.tokens
    sizes = {
        "num_tokens": like,
        "hidden_size": _same(experts.hidden, like),
        "inter_size": _same(experts.inter, like),
        "topk": np.round(loads.all_pairs / loads.tokens),
        "num_experts": _same(loads.experts * ranks, like),
        "moe_tp_size": np.ones_like(like),
        "moe_ep_size": _same(ranks, like),
    }
    sent = ranks > 1 and not experts.gathered
    names = _names((experts.weights, experts.activations, experts.arithmetic), blocks)
    kinds = [(name, "", experts_variant(d, experts.gated, sent)) for name in names for d in DISTRIBUTIONS]
    return Asked("moe", kinds, sizes)


def experts_variant(distribution: str, gated: bool, sent: bool) -> str:
    """Variant of measured experts; `sent` where each rank has its own tokens only, from a dispatch."""
    words = ("" if gated else UNGATED, "sent" if sent else "", distribution)
    return " ".join(word for word in words if word)


def _grouped(kv: int, width: int, like: Array) -> dict[str, Array]:
    return {
        "num_kv_heads": _same(kv, like),
        "head_dim": _same(width, like),
        "window_size": np.zeros_like(like),
    }


def _names(types: tuple[str, str, str], blocks: bool) -> list[str]:
    """The tables' names of (weights, activations, arithmetic)."""
    wanted = tuple("bf16" if dtype == "fp16" else dtype for dtype in types)
    names = [name for name, found in ARITHMETIC.items() if found == wanted]
    return sorted(names, key=lambda name: name.endswith("_block") != blocks)


def _attention_kinds(arithmetic: str, cache: str) -> list[Kind]:
    def named(dtype: str) -> list[str]:
        wanted = "bf16" if dtype == "fp16" else dtype
        return [name for name, found in CACHE.items() if name and found == wanted]

    maths = [*named(arithmetic), *(name for name in CACHE if name and name not in named(arithmetic))]
    return [(math, stored, "") for math in maths for stored in named(cache)]


def _same(value: float, like: Array) -> Array:
    return np.full(len(like), float(value))

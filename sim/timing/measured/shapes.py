"""Where a row of a table stands among the others: the logarithms of its sizes.

    place = (ln size_1, …, ln size_d; ln extent)

The extent is the size that a benchmark goes through densely (rows of a product, length of a context); rows
that agree in all other sizes are one series along it. Sizes are those of one chip: an expert's width is
inter_size/moe_tp_size, its rank holds num_experts/moe_ep_size experts.
"""

from collections.abc import Callable, Mapping

import numpy as np

from sim.operators.quantities import Array
from sim.timing.measured.rows import Rows


def _columns(*names: str) -> Callable[[Rows], list[Array]]:
    return lambda rows: [rows.numbers(name) for name in names]


def _moe(rows: Rows) -> list[Array]:
    ranks = rows.numbers("moe_ep_size")
    return [
        rows.numbers("hidden_size"),
        rows.numbers("inter_size") / rows.numbers("moe_tp_size"),
        rows.numbers("topk"),
        rows.numbers("num_experts") / ranks,
        ranks,
    ]


_HEADS = ("batch_size", "num_heads", "num_kv_heads", "head_dim")

SIZES: Mapping[str, Callable[[Rows], list[Array]]] = {
    "gemm": _columns("n", "k"),
    "mla_bmm": _columns("num_heads"),
    "attn_prefill": _columns(*_HEADS),
    "attn_decode": _columns(*_HEADS),
    "mla_prefill": _columns("batch_size", "num_heads"),
    "mla_decode": _columns("batch_size", "num_heads"),
    "moe": _moe,
}
"""Sizes of a row beside its extent, by table. Only these tables override prices of a step's operators."""

EXTENT: Mapping[str, str] = {
    "gemm": "m",
    "mla_bmm": "num_tokens",
    "attn_prefill": "isl",
    "attn_decode": "kv_len_past",
    "mla_prefill": "isl",
    "mla_decode": "kv_len_past",
    "moe": "num_tokens",
}
"""The column of a row's extent, by table."""

VARIANT: Mapping[str, str] = {"mla_bmm": "op", "moe": "distribution"}
"""The column that tells apart what a table measured of one type, where there is one."""


def sizes(rows: Rows) -> Array:
    """ln of the sizes beside the extent: [row, size]."""
    return np.log(np.stack(SIZES[rows.table](rows), axis=1))


def extent(rows: Rows) -> Array:
    """ln of the extent: [row]. A decode without a past reads its own token."""
    return np.log(np.maximum(rows.numbers(EXTENT[rows.table]), 1.0))

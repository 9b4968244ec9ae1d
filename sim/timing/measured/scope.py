"""Which rows are compared: those within the shapes that layers of language models have.

Outside them other kernels run (attention with one query per key, or with all heads on one), or a benchmark's
own fixed costs are nearly all of the time. What is left out is counted with its reason.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from sim.timing.measured.rows import Rows

Mask = NDArray[np.bool_]
Rule = tuple[str, Callable[[Rows], Mask]]
EAGER_ROWS = 2048
"""Rows below which a product timed without a graph mostly times its launch."""
HEAD_SIZES = (64, 128, 256)


def _small_product(rows: Rows) -> Mask:
    return (rows.numbers("n") < 128) | (rows.numbers("k") < 128)


def _eager_product(rows: Rows) -> Mask:
    eager = (rows.words("framework") == "vllm") & (rows.words("dtype") == "fp8_block")
    return eager & (rows.numbers("m") < EAGER_ROWS)


def _other_head(rows: Rows) -> Mask:
    return ~np.isin(rows.numbers("head_dim"), HEAD_SIZES)


def _windowed(rows: Rows) -> Mask:
    return rows.numbers("window_size") > 0


def _short_prompt(rows: Rows) -> Mask:
    return rows.numbers("isl") < 16


def _short_context(rows: Rows) -> Mask:
    return rows.numbers("kv_len_past") < 256


def _odd_group(rows: Rows) -> Mask:
    group = rows.numbers("num_heads") / rows.numbers("num_kv_heads")
    return (group < 2) | (group > 16)


_HEAD: Rule = (f"head size other than {', '.join(map(str, HEAD_SIZES))}", _other_head)
_WINDOW: Rule = ("sliding window", _windowed)
_PROMPT: Rule = ("prompts of less than 16 tokens", _short_prompt)
_CONTEXT: Rule = ("contexts of less than 256 tokens", _short_context)

OUTSIDE: Mapping[str, Sequence[Rule]] = {
    "gemm": (
        ("product with n or k below 128", _small_product),
        (f"product of less than {EAGER_ROWS} rows timed with its launch (vLLM fp8_block)", _eager_product),
    ),
    "attn_prefill": (_HEAD, _WINDOW, _PROMPT),
    "attn_decode": (
        _HEAD, _WINDOW, _CONTEXT, ("less than 2 or more than 16 queries per key", _odd_group),
    ),
    "mla_prefill": (_PROMPT,),
    "mla_decode": (_CONTEXT,),
}  # fmt: skip
"""By table: what is not compared, and why."""


def in_scope(rows: Rows) -> tuple[Rows, dict[str, int]]:
    """The rows that are compared, and how many are not for which reason."""
    left_out: dict[str, int] = {}
    for reason, outside in OUTSIDE.get(rows.table, ()):
        mask = outside(rows)
        if mask.any():
            left_out[f"{rows.table}: {reason}"] = int(mask.sum())
            rows = rows.at(~mask)
    return rows, left_out

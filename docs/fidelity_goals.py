"""What is asked of the operator model, and what peers published: the fixed parts of docs/fidelity.md.

Goals are mean errors in percent, each with the least that is asked for, by regime: the same architecture with
the datasheet swapped, a new generation likewise, a light calibration, no measurements at all.
"""

from collections.abc import Mapping
from dataclasses import dataclass

LIGHT = 24
"""Rows of each type and stack that a light calibration takes."""


@dataclass(frozen=True, slots=True)
class Goal:
    """One cell of what is asked: mean error in percent, goal and least, of what."""

    text: str
    operator: str
    dtype: str
    asked: Mapping[str, tuple[float, float]]


CELLS = (
    Goal("products bf16", "gemm", "bfloat16",
         {"same": (8, 10), "new": (12, 15), "light": (9, 11), "prior": (12, 12)}),
    Goal("products fp8", "gemm", "fp8",
         {"same": (6, 8), "new": (13, 16), "light": (6, 8), "prior": (14, 14)}),
    Goal("products fp8_block", "gemm", "fp8_block",
         {"same": (13, 16), "new": (16, 20), "light": (10, 12), "prior": (17, 17)}),
    Goal("products nvfp4", "gemm", "nvfp4", {"new": (22, 30), "light": (18, 20)}),
    Goal("prefill attention", "attn_prefill", "",
         {"same": (10, 14), "new": (14, 18), "light": (12, 15), "prior": (20, 20)}),
    Goal("MLA prefill", "mla_prefill", "",
         {"same": (10, 14), "new": (14, 18), "light": (12, 15), "prior": (20, 20)}),
    Goal("decode attention", "attn_decode", "",
         {"same": (10, 16), "new": (14, 20), "light": (9, 12), "prior": (14, 14)}),
    Goal("MLA decode", "mla_decode", "",
         {"same": (10, 14), "new": (18, 25), "light": (12, 16), "prior": (17, 17)}),
    Goal("experts, TensorRT-LLM's kernels", "moe", "trtllm",
         {"same": (14, 18), "new": (15, 20), "light": (12, 15), "prior": (16, 16)}),
    Goal("sum over a step", "step", "",
         {"same": (4, 6), "new": (10, 16), "light": (5, 8), "prior": (12, 12)}),
)  # fmt: skip
REGIMES = {
    "same": ("H200, H100's parameters", "family:h100", ("h200",)),
    "new": ("B200, H100's parameters", "family:h100", ("b200",)),
    "light": (f"H200 and B200, {LIGHT} rows of each type", "light", ("h200", "b200")),
    "prior": ("all four chips, priors", "prior", ("a100", "h100", "h200", "b200")),
}
_ENGINES = "[whole engines](fidelity-serving.md)"
PEERS = (
    (
        "AIConfigurator, between the products its tables have, shapes left out (median, 90 %)",
        "4.9, 15.6",
        "{gemm}",
    ),
    ("the same, attention (median)", "2–6", "{attention}"),
    ("H100's products scaled by peak rates to B200 (mean, bf16)", "23.5", "{swapped}"),
    (
        "AIConfigurator 0.12, tables of the very chips: TPOT, TTFT of its own sample (median)",
        "19.6, 55.5",
        _ENGINES,
    ),
    ("LLMServingSim 2.0, four runs on chips it profiled: TPOT, TTFT", "1–2, up to 13.6", _ENGINES),
    ("BLIS, H100 after fitting there: end to end", "6.7", _ENGINES),
)
"""What, the published error (percent), and where ours is."""

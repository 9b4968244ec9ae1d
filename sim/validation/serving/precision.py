"""Storage and arithmetic types of a case, from the words of its source.

Weights as stated; activations as stated where the chip multiplies them, otherwise what its kernels fall back
to: 16 bits for weight-only formats. Where nothing is said the engine's own default (the checkpoint's type,
KV in 16 bits), and for benchmarks that reward the narrowest type (MLPerf) the narrowest that the chip has.
"""

import re
from dataclasses import dataclass

from sim.models import load_model
from sim.validation.serving.cases import MeasuredCase

_WIDEST = "bf16"
_TYPES = (("fp4", "fp4"), ("int4", "int4"), ("w4a16", "int4"), ("fp8", "fp8"), ("int8", "int8"),
          ("bf16", "bf16"), ("fp16", "fp16"))  # fmt: skip
_MLPERF = ("b4", "c3")
_EXPERTS_ONLY = (
    ("gpt-oss", ("fp4",)),
    ("deepseek", ("fp4",)),
    ("kimi-k2", ("fp4", "int4")),
    ("minimax-m2", ("fp4",)),
    ("qwen3.5", ("fp4",)),
)
"""Published checkpoints whose quantisation configuration leaves attention out: OpenAI's gpt-oss, NVIDIA's
NVFP4 of DeepSeek-R1, Kimi-K2.5, MiniMax-M2.5 and Qwen3.5, Moonshot's INT4 of Kimi."""


@dataclass(frozen=True, slots=True)
class Types:
    """As `deployment.precision` names them."""

    weights: str
    activations: str
    kv_cache: str
    attention: str | None = None
    fp8_scales: str | None = None


def type_in(words: object) -> str | None:
    """The first storage type that a text names: "nvfp4 MoE" is fp4; None where it names none."""
    text = str(words or "").lower()
    found = [(text.find(word), kind) for word, kind in _TYPES if word in text]
    return min(found)[1] if found else None


def types_of(case: MeasuredCase, model: str, peaks: set[str]) -> Types:
    """The types of a case of a catalogue model on a chip that multiplies `peaks`."""
    weights = type_in(case.precision.get("weights"))
    if weights is None and case.label[:2] in _MLPERF:
        narrowest = next((kind for kind in ("fp4", "fp8") if kind in peaks), _WIDEST)
        return Types(narrowest, narrowest, "fp8" if "fp8" in peaks else _WIDEST)
    if load_model(model).released_dtype == "fp4":
        return _mxfp4(case, peaks)
    weights = weights or _WIDEST
    return Types(
        weights=weights,
        activations=_activations(case, weights, peaks),
        kv_cache=_kv_cache(case),
        attention=_attention(case, model, weights),
        fp8_scales=_fp8_scales(case, weights, load_model(model).released_dtype),
    )


def _mxfp4(case: MeasuredCase, peaks: set[str]) -> Types:
    """A checkpoint released in MXFP4: its experts' weights alone, which engines multiply with MXFP8 where the
    chip does that, and with 16 bits elsewhere; nobody quantises its activations to 4 bits."""
    return Types("fp4", "fp8" if "fp4" in peaks else _WIDEST, _kv_cache(case), _WIDEST)


def _activations(case: MeasuredCase, weights: str, peaks: set[str]) -> str:
    stated = type_in(case.precision.get("activations"))
    if weights in ("bf16", "fp16", "int4"):
        return _WIDEST
    wanted = stated or weights
    return wanted if wanted in peaks else _WIDEST


def _kv_cache(case: MeasuredCase) -> str:
    """ "fp8 (…)" is fp8; "auto", "not stated" and nothing are 16 bits, every engine's default."""
    words = re.sub(r"\(.*", "", str(case.precision.get("kv") or ""))
    return type_in(words) or _WIDEST


def _fp8_scales(case: MeasuredCase, weights: str, released: str) -> str | None:
    """As the catalogue names the type of the experts, "fp8" or "fp8_block"; a checkpoint that was released in
    fp8 keeps its own."""
    experts = str(case.precision.get("moe") or "").lower()
    if weights != "fp8" or released == "fp8" or not experts.startswith("fp8"):
        return None
    return "block" if "block" in experts else "tensor"


def _attention(case: MeasuredCase, model: str, weights: str) -> str | None:
    """Checkpoints that narrow only their experts keep attention in 16 bits."""
    said = " ".join(str(case.precision.get(name) or "") for name in ("weights", "activations")).lower()
    experts_only = any(words in said for words in ("moe", "mxfp4", "bf16 attention"))
    experts_only |= any(model.startswith(name) and weights in kinds for name, kinds in _EXPERTS_ONLY)
    return _WIDEST if experts_only and weights != _WIDEST else None

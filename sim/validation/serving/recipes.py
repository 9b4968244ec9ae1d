"""What a benchmark's harness sets on the engines it measures, where its cases do not repeat it.

InferenceX publishes the scripts that start its servers (benchmarks/*.sh). They have in common, by engine:

- SGLang on Blackwell: new requests are looked at every 10 decode steps, every 30 from 16 users on; prompts
  in chunks of 16,384 tokens; 0.85 of the memory. On Hopper: chunks of 32,768, 0.82 of the memory.
- vLLM: 8,192 tokens a step, graphs up to 2,048. MXFP4 experts on Hopper with Marlin.
- TensorRT-LLM: at least 16,384 tokens a step, and room for a prompt beside all users; graphs up to the number
  of users. With prompts and answers of 1,024 tokens prompts are held back to run together: Llama for 20
  steps or 0.9 of the tokens, DeepSeek in fp8 from 64 to 255 users for 40 steps or 0.8. NVFP4 experts with its
  generated kernels up to 255 users (32 with prompts of 8,192), beyond with CUTLASS; behind a prefill pool
  (Dynamo's recipes) with the generated kernels where attention is not data parallel.

Its sweep over conversations (experimental/multiturn) starts vLLM with graphs of decode-only steps alone
(`cudagraph_mode: FULL_DECODE_ONLY`), up to 2,048 sequences, and without TensorRT-LLM's attention
(`use_trtllm_attention=0`): FlashInfer's own kernels then run, which do without Blackwell's matrix
instructions.
"""

from collections.abc import Mapping

from sim.validation.serving.cases import MeasuredCase
from sim.validation.serving.phases import Phase
from sim.validation.serving.precision import Types

_BLACKWELL = ("B200", "B300", "GB200", "GB300")
_HOPPER = ("H100", "H200")
_FEW_USERS = 16
_SHORT = 1024
_LONG = 8192
_GENERATED_UP_TO = 255
_GENERATED_UP_TO_LONG = 32
_WITHOUT_BLACKWELL = {
    "value": 0.3,
    "low": 0.24,
    "high": 0.5,
    "basis": "estimate",
    "source": "kernels without Blackwell's matrix instructions, against those with: decodes of Triton in the "
    "aiconfigurator B200 sample",
}


def is_conversation_sweep(case: MeasuredCase) -> bool:
    """Whether a case is one of InferenceX's sweep over conversations."""
    return case.label[:2] == "c4" and "inferencex" in case.source.lower()


def harness_settings(case: MeasuredCase, family: str) -> dict[str, object]:
    """Engine settings of the case's harness; none where it is not one that we know."""
    if is_conversation_sweep(case):
        older = {"attn_decode": _WITHOUT_BLACKWELL, "attn_prefill": _WITHOUT_BLACKWELL}
        maturity = older if case.gpu in _BLACKWELL else {}
        return {"max_cudagraph_capture_size": 2048, "piecewise_graphs": False, "maturity": maturity}
    if not case.says("arrival", "inferencex") or "prefill" in case.parallelism:
        return {}  # two pools have recipes of their own
    users = case.count("concurrency") or 1
    if family == "sglang":
        if case.gpu in _BLACKWELL:
            interval = 10 if users < _FEW_USERS else 30
            return {
                "scheduler_recv_interval": interval,
                "max_num_batched_tokens": 16384,
                "gpu_memory_utilization": 0.85,
            }
        return {"max_num_batched_tokens": 32768, "gpu_memory_utilization": 0.82}
    if family == "trtllm":
        return _tensorrt(case, users)
    if family == "vllm":
        return {"max_num_batched_tokens": 8192, "max_cudagraph_capture_size": 2048}
    return {}


def expert_backend(case: MeasuredCase, family: str, types: Types) -> dict[str, str]:
    """`engine.backends` of the case's harness where it serves in one pool."""
    if not case.says("arrival", "inferencex") or "prefill" in case.parallelism:
        return {}
    narrow = (types.weights, types.activations)
    if family == "vllm" and narrow == ("fp4", "bf16") and case.gpu in _HOPPER:
        return {"moe": "marlin"}
    if family == "trtllm" and narrow == ("fp4", "fp4"):
        most = _GENERATED_UP_TO_LONG if case.number("isl") == _LONG else _GENERATED_UP_TO
        return {"moe": "trtllm"} if (case.count("concurrency") or 1) <= most else {}
    return {}


def decode_backend(family: str, types: Types, phases: Mapping[str, Phase]) -> dict[str, str]:
    """`engine.backends` of the decode pool in Dynamo's recipes."""
    generated = family == "trtllm" and (types.weights, types.activations) == ("fp4", "fp4")
    alone = "decode" in phases and phases["decode"].layout["dp"] == 1
    return {"moe": "trtllm"} if generated and alone else {}


def _tensorrt(case: MeasuredCase, users: int) -> dict[str, object]:
    tokens = max(16384, users + int(case.number("isl") or 0) + 64)
    settings: dict[str, object] = {"max_num_batched_tokens": tokens, "max_cudagraph_capture_size": users}
    if (case.number("isl"), case.number("osl")) != (_SHORT, _SHORT):
        return settings
    if case.model.startswith("Llama"):
        return settings | {"batch_wait_timeout_iters": 20, "batch_wait_max_tokens_ratio": 0.9}
    if case.model.startswith("DeepSeek") and 64 <= users < 256 and case.precision.get("weights") == "fp8":
        return settings | {"batch_wait_timeout_iters": 40, "batch_wait_max_tokens_ratio": 0.8}
    return settings

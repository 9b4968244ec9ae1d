"""How to start the chosen layout in real engines.

vLLM counts data-parallel ranks beside tensor parallelism and spreads experts over all of them or none; SGLang
and TensorRT-LLM count all chips as tensor parallel and split attention out of that. What an engine cannot say
is named in a comment. Names: the command lines of vLLM 0.32, SGLang 0.5 and TensorRT-LLM 1.x.
"""

from sim.planning.plan.space import Layout

_VLLM_KV = {"bf16": "auto", "fp16": "auto", "fp8": "fp8"}
_SGLANG_KV = {"bf16": "auto", "fp16": "auto", "fp8": "fp8_e4m3"}


def launch_commands(model: str, layout: Layout, utilization: float, block_size: int) -> dict[str, str]:
    """Engine → command line for one replica.

    Args:
        model: name of the model or its checkpoint; utilization: share of device memory.
    """
    return {
        "vllm": _vllm(model, layout, utilization, block_size),
        "sglang": _sglang(model, layout, utilization, block_size),
        "tensorrt-llm": _tensorrt(model, layout, utilization),
    }


def _vllm(model: str, layout: Layout, utilization: float, block_size: int) -> str:
    p = layout.parallel
    flags = ["vllm serve", model, f"--tensor-parallel-size {p.tp}"]
    flags += [f"--pipeline-parallel-size {p.pp}"] if p.pp > 1 else []
    flags += [f"--data-parallel-size {p.dp}"] if p.dp > 1 else []
    flags += ["--enable-expert-parallel"] if p.ep > 1 else []
    flags += _weights(layout, "--quantization")
    flags += [
        f"--kv-cache-dtype {_VLLM_KV.get(layout.precision.kv_cache, layout.precision.kv_cache)}",
        f"--max-num-seqs {layout.max_num_seqs}",
        f"--max-num-batched-tokens {layout.max_num_batched_tokens}",
        f"--block-size {block_size}",
        f"--gpu-memory-utilization {utilization:g}",
    ]
    odd = p.ep not in (1, p.tp * p.dp)
    note = f"  # vLLM spreads experts over all {p.tp * p.dp} chips, not {p.ep} groups" if odd else ""
    return " ".join(flags) + note


def _sglang(model: str, layout: Layout, utilization: float, block_size: int) -> str:
    p = layout.parallel
    flags = ["python -m sglang.launch_server", f"--model-path {model}", f"--tp-size {p.tp * p.dp}"]
    flags += [f"--pp-size {p.pp}"] if p.pp > 1 else []
    flags += [f"--dp-size {p.dp} --enable-dp-attention"] if p.dp > 1 else []
    flags += [f"--ep-size {p.ep}"] if p.ep > 1 else []
    flags += _weights(layout, "--quantization")
    flags += [
        f"--kv-cache-dtype {_SGLANG_KV.get(layout.precision.kv_cache, layout.precision.kv_cache)}",
        f"--max-running-requests {layout.max_num_seqs * p.dp}",
        f"--chunked-prefill-size {layout.max_num_batched_tokens}",
        f"--page-size {block_size}",
        f"--mem-fraction-static {utilization:g}",
    ]
    return " ".join(flags)


def _tensorrt(model: str, layout: Layout, utilization: float) -> str:
    p = layout.parallel
    flags = ["trtllm-serve", model, "--backend pytorch", f"--tp_size {p.tp * p.dp}"]
    flags += [f"--pp_size {p.pp}"] if p.pp > 1 else []
    flags += [f"--ep_size {p.ep}"] if p.ep > 1 else []
    flags += [
        f"--max_batch_size {layout.max_num_seqs}",
        f"--max_num_tokens {layout.max_num_batched_tokens}",
        f"--kv_cache_free_gpu_memory_fraction {utilization:g}",
    ]
    options = ["enable_attention_dp: true"] if p.dp > 1 else []
    options += ["kv_cache_config: {dtype: fp8}"] if layout.precision.kv_cache == "fp8" else []
    note = f"  # with --extra_llm_api_options: {', '.join(options)}" if options else ""
    return " ".join(flags) + note


def _weights(layout: Layout, flag: str) -> list[str]:
    """Weights are quantised at start only to fp8; other types come with the checkpoint."""
    return [f"{flag} fp8"] if layout.precision.weights == "fp8" else []

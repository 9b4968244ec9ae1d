"""How to start the chosen layout in real engines.

vLLM counts data-parallel ranks beside tensor parallelism and spreads experts over all of them or none; SGLang
and TensorRT-LLM count all chips as tensor parallel and split attention out of that. What an engine cannot say
is named in a comment. Names: the command lines of vLLM 0.32, SGLang 0.5 and TensorRT-LLM 1.x.
"""

from sim.deployment import Speculation
from sim.planning.plan.space import Layout, Role
from sim.planning.plan.unit import Pool, Unit

_VLLM_KV = {"bf16": "auto", "fp16": "auto", "fp8": "fp8"}
_SGLANG_KV = {"bf16": "auto", "fp16": "auto", "fp8": "fp8_e4m3"}
_VLLM_TRANSFER = """--kv-transfer-config '{"kv_connector": "NixlConnector", "kv_role": "kv_both"}'"""


def launch_commands(unit: Unit) -> dict[str, str]:
    """Engine → command line of one replica, of each pool where there are two."""
    commands: dict[str, str] = {}
    for pool in reversed(unit.pools):
        role = pool.screened.role
        for engine, command in _commands(pool).items():
            commands[engine if role == "both" else f"{engine}, {role}"] = command
    return commands


def _commands(pool: Pool) -> dict[str, str]:
    deployment, layout, role = pool.screened.deployment, pool.layout, pool.screened.role
    model, engine, drafts = deployment.model.name, deployment.engine, deployment.speculation
    utilization, block = engine.gpu_memory_utilization, engine.block_size
    return {
        "vllm": _vllm(model, layout, utilization, block, _vllm_extras(role, drafts)),
        "sglang": _sglang(model, layout, utilization, block, _sglang_extras(role, drafts)),
        "tensorrt-llm": _tensorrt(model, layout, utilization, drafts),
    }


def _vllm_extras(role: Role, drafts: Speculation | None) -> list[str]:
    """A pool's transfer and drafting."""
    flags = [] if role == "both" else [_VLLM_TRANSFER]
    if drafts is None:
        return flags
    drafter = '"method": "mtp"' if drafts.shares_weights else f'"model": "{drafts.drafter.name}"'
    return [
        *flags,
        f"--speculative-config '{{{drafter}, \"num_speculative_tokens\": {drafts.queries - 1}}}'",
    ]


def _sglang_extras(role: Role, drafts: Speculation | None) -> list[str]:
    flags = [] if role == "both" else [f"--disaggregation-mode {role}"]
    if drafts is None:
        return flags
    algorithm = (
        "--speculative-algorithm NEXTN"
        if drafts.shares_weights
        else f"--speculative-algorithm STANDALONE --speculative-draft-model-path {drafts.drafter.name}"
    )
    steps = f"--speculative-num-steps {drafts.queries - 1} --speculative-eagle-topk 1"
    return [*flags, algorithm, steps, f"--speculative-num-draft-tokens {drafts.queries}"]


def _vllm(model: str, layout: Layout, utilization: float, block_size: int, extras: list[str]) -> str:
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
        *extras,
    ]
    odd = p.ep not in (1, p.tp * p.dp)
    note = f"  # vLLM spreads experts over all {p.tp * p.dp} chips, not {p.ep} groups" if odd else ""
    return " ".join(flags) + note


def _sglang(model: str, layout: Layout, utilization: float, block_size: int, extras: list[str]) -> str:
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
        *extras,
    ]
    return " ".join(flags)


def _tensorrt(model: str, layout: Layout, utilization: float, drafts: Speculation | None) -> str:
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
    if drafts is not None and drafts.shares_weights:
        kind = f"decoding_type: MTP, num_nextn_predict_layers: {drafts.queries - 1}"
        options.append(f"speculative_config: {{{kind}}}")
    note = f"  # with --extra_llm_api_options: {', '.join(options)}" if options else ""
    return " ".join(flags) + note


def _weights(layout: Layout, flag: str) -> list[str]:
    """Weights are quantised at start only to fp8; other types come with the checkpoint."""
    return [f"{flag} fp8"] if layout.precision.weights == "fp8" else []

"""Device memory that a step needs while it runs, on one chip.

Per token that the chip computes (1/pcp of prompts' tokens), 16-bit intermediates (the types between kernels,
whatever the matrices multiply):
    residual, block input and block output: 3 · hidden, and the widest of
    GQA        (heads + kv heads of the rank) · (head_dim + v_head_dim)  query, keys, values, output
    MLA        heads/tp · 2·(qk_nope + qk_rope + v_head) + latent       prefill: query, keys, values, output
    dense FFN  3 · inter/tp                                              gate, up and their product
    MoE        rows · (max(2·inter/moe_tp, hidden) + inter/moe_tp) + 3·shared/tp
`rows` are the expert rows a token may bring to one chip: min(top_k, experts/ep), since workspaces are
sized for the worst routing. Engines run a MoE layer in chunks of tokens, which bounds it.

Logits come after the layers' intermediates are gone, on the last stage: sequences · vocab · (2 + 4) bytes,
gathered in 16 bits and sampled in 32. The step needs the larger of the two.
"""

from collections.abc import Iterable

from sim.deployment.deployment import Parallel
from sim.models.architecture import Attention, DenseFfn, Gqa, Layer, Mla, ModelArchitecture, MoeFfn, counted

INTERMEDIATE_BYTES = 2
LOGIT_BYTES = 2 + 4

# Tokens of one chunk of a fused MoE kernel. Source: VLLM_FUSED_MOE_CHUNK_SIZE of vLLM, default 16·1024.
MOE_CHUNK_TOKENS = 16384


def activation_bytes(
    model: ModelArchitecture,
    layers: Iterable[Layer],
    last: bool,
    parallel: Parallel,
    batched_tokens: int,
    sequences: int,
) -> float:
    """Bytes of activations at the largest step the engine may run.

    Args:
        batched_tokens, sequences: the engine's limits, per attention-dp rank.
    """
    own = sequences + -(-(batched_tokens - sequences) // parallel.pcp)
    widest = max(
        _layer_bytes(layer, model.hidden, parallel, own, batched_tokens) for layer, _ in counted(layers)
    )
    stream = 3 * model.hidden * own * INTERMEDIATE_BYTES
    logits = sequences * model.vocab * LOGIT_BYTES if last else 0
    return max(stream + widest, float(logits))


def _layer_bytes(layer: Layer, hidden: int, parallel: Parallel, own: int, batched: int) -> float:
    """Of `own` tokens that the chip computes of the step's `batched`."""
    attention = _attention_width(layer.attention, parallel.tp) * own
    ffn = _ffn_values(layer.ffn, hidden, parallel, own, batched)
    return max(attention, ffn) * INTERMEDIATE_BYTES


def _attention_width(attention: Attention, tp: int) -> float:
    heads = attention.heads / tp
    if isinstance(attention, Gqa):
        kv = max(1, attention.kv_heads // tp)
        return (heads + kv) * (attention.head_dim + attention.v_head_dim)
    if isinstance(attention, Mla):
        expanded = heads * (2 * (attention.qk_nope + attention.qk_rope) + 2 * attention.v_head)
        return expanded + attention.kv_lora_rank + attention.qk_rope
    keys = 2 * max(1.0, attention.key_heads / tp) * attention.key_dim
    return keys + 2 * heads * attention.value_dim


def _ffn_values(ffn: DenseFfn | MoeFfn, hidden: int, parallel: Parallel, own: int, batched: int) -> float:
    if isinstance(ffn, DenseFfn):
        return 3 * ffn.inter / parallel.tp * own
    width = ffn.inter / parallel.moe_tp
    rows = min(batched * parallel.dp, MOE_CHUNK_TOKENS) * min(ffn.top_k, -(-ffn.experts // parallel.ep))
    return rows * (max(2 * width, hidden) + width) + 3 * ffn.shared_inter / parallel.tp * own

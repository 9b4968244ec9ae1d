"""What a sequence keeps between steps, layer group by layer group.

Values per token and layer: GQA kv_heads·(head_dim + v_head_dim); MLA kv_lora_rank + qk_rope, or, where an
engine expands it to full heads, 2·heads·(qk_nope + qk_rope) (V padded to the key's width, as one NPU
stack did); an indexer its head_dim. A recurrent layer keeps a state of fixed size instead.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Literal

from sim.models.architecture import Attention, Gqa, Mla, ModelArchitecture, Recurrent

_CONV_STATE_BYTES = 2
"""The convolution's past inputs are kept in the activation type (bf16)."""


@dataclass(frozen=True, slots=True)
class KvGroup:
    """Layers that keep context alike.

    Attributes:
        form: "full" keeps every token, "window" the last `window`, "index" the indexer's key of every
            token, "state" nothing per token.
        layers: how many.
        values: values per token and layer in the cache, 0 for a state.
        reads: most tokens one decode step reads per sequence (window, or the indexer's top k); None: all.
        state_bytes: bytes per sequence and layer, 0 unless a state.
    """

    form: Literal["full", "window", "index", "state"]
    layers: int
    values: int
    reads: int | None
    state_bytes: int = 0


def kv_groups(model: ModelArchitecture, expand_mla: bool = False) -> tuple[KvGroup, ...]:
    """The model's layers by how they keep context, in order of first appearance."""
    counts: Counter[tuple[Literal["full", "window", "index", "state"], int, int | None, int]] = Counter()
    for layer in model.layers:
        a = layer.attention
        if isinstance(a, Recurrent):
            counts["state", 0, None, state_bytes(a)] += 1
            continue
        form = "full" if a.window is None else "window"
        counts[form, kv_values_per_token(a, expand_mla), tokens_read(a), 0] += 1
        if isinstance(a, Mla) and a.indexer is not None:
            counts["index", a.indexer.head_dim, None, 0] += 1
    return tuple(KvGroup(form, n, values, reads, state) for (form, values, reads, state), n in counts.items())


def windows(model: ModelArchitecture) -> tuple[int, ...]:
    """Sorted distinct w whose Σ min(context, w) a batch must carry: sliding windows and indexers' top k."""
    return tuple(sorted({g.reads for g in kv_groups(model) if g.reads is not None}))


def kv_values_per_token(attention: Attention, expand_mla: bool = False) -> int:
    """Values one layer caches per token, without an indexer's; 0 for a recurrent layer."""
    if isinstance(attention, Gqa):
        return attention.kv_heads * (attention.head_dim + attention.v_head_dim)
    if isinstance(attention, Mla):
        if expand_mla:
            return 2 * attention.heads * max(attention.qk_nope + attention.qk_rope, attention.v_head)
        return attention.kv_lora_rank + attention.qk_rope
    return 0


def tokens_read(attention: Gqa | Mla) -> int | None:
    """The most cached tokens one query reads: the smaller of window and top k, None for all."""
    top_k = attention.indexer.top_k if isinstance(attention, Mla) and attention.indexer is not None else None
    bounds = [b for b in (attention.window, top_k) if b is not None]
    return min(bounds) if bounds else None


def state_bytes(mixer: Recurrent) -> int:
    """Bytes one recurrent layer keeps per sequence: heads·key_dim·value_dim state elements and the last
    conv − 1 inputs of its convolution."""
    channels = 2 * mixer.key_heads * mixer.key_dim + mixer.heads * mixer.value_dim
    convolution = max(mixer.conv - 1, 0) * channels * _CONV_STATE_BYTES
    return mixer.heads * mixer.key_dim * mixer.value_dim * mixer.state_dtype_bytes + convolution

"""What one chip keeps per token and per sequence.

    GQA      max(1, kv_heads/tp) · (head_dim + v_head_dim) values per token and layer
    MLA      kv_lora_rank + qk_rope, whole on every tensor-parallel rank
    MLA expanded to full heads   1/tp of 2·heads·(qk_nope + qk_rope)
    indexer  head_dim values per token and layer, whole on every rank: in fp8 with a scale for 128 of them
             where the chip multiplies fp8 (DeepSeek-V3.2's code, vLLM, SGLang), else in the cache's type
    recurrent state   1/tp of heads·key_dim·value_dim and the convolution's inputs, per sequence and layer

Layers keep context in one of three ways: *full* (every token), *window* (the last w tokens) or
*state* (a fixed size). All share one pool of blocks (`sim.deployment.memory`).
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sim.models.architecture import Gqa, Layer, Mla, Recurrent, counted
from sim.models.dtypes import bytes_per_value
from sim.models.kv_groups import kv_values_per_token, state_bytes


@dataclass(frozen=True, slots=True)
class CacheGrowth:
    """Cache of some layers on one chip, in bytes.

    Attributes:
        per_token: of the layers that keep every token.
        windows: (window in tokens, bytes per token) of the layers that keep a window, ascending.
        state: per sequence, whatever its length.
    """

    per_token: float
    windows: tuple[tuple[int, float], ...]
    state: float


def cache_growth(
    layers: Iterable[Layer],
    kv_type: str,
    tp: int,
    expand_mla: bool,
    index_fp8: bool = False,
    *,
    keep_windows: bool = True,
) -> CacheGrowth:
    """The cache of these layers on one tensor-parallel rank, by the way it grows.

    Args:
        index_fp8: an indexer's keys are fp8 whatever the others' type.
        keep_windows: layers with a window keep that alone; otherwise every token, as full ones do.
    """
    per_value = bytes_per_value(kv_type)
    per_token = state = 0.0
    windows: dict[int, float] = {}
    for layer, count in counted(layers):
        attention = layer.attention
        if isinstance(attention, Recurrent):
            state += count * state_bytes(attention) / tp
            continue
        size = count * rank_values_per_token(attention, tp, expand_mla) * per_value
        if isinstance(attention, Mla) and attention.indexer is not None:
            keys = attention.indexer.head_dim
            size += count * (index_key_bytes(keys) if index_fp8 else keys * per_value)
        if attention.window is None or not keep_windows:
            per_token += size
        else:
            windows[attention.window] = windows.get(attention.window, 0.0) + size
    return CacheGrowth(per_token, tuple(sorted(windows.items())), state)


def rank_values_per_token(attention: Gqa | Mla, tp: int, expand_mla: bool = False) -> float:
    """Cached values per token and layer on one tensor-parallel rank, without an indexer's keys."""
    whole = kv_values_per_token(attention, expand_mla)
    if isinstance(attention, Gqa):
        return whole / attention.kv_heads * max(1, attention.kv_heads // tp)
    return whole / tp if expand_mla else whole


def index_key_bytes(head_dim: int) -> int:
    """An indexer's key of one token in fp8: head_dim bytes and an fp32 scale for each 128 of them."""
    return head_dim + 4 * -(-head_dim // 128)

"""A model's architecture as data: what is multiplied, what is kept per token, layer by layer.

Every dimension is the checkpoint's own. Accounting (parameters, KV bytes, FLOPs) is in
`sim.models.accounting`; nothing here knows a chip or a layout.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Indexer:
    """The lightning indexer of DeepSeek sparse attention: `heads` queries of `head_dim` score every
    cached key of one shared head; attention then reads the `top_k` best positions."""

    heads: int
    head_dim: int
    top_k: int


@dataclass(frozen=True, slots=True)
class Gqa:
    """Grouped-query attention (MHA: kv_heads = heads; MQA: 1). `window` is the sliding window in tokens,
    None for full attention; `output_gate` adds a gate projection of the output's width; `sinks` one
    learned logit per head; `q_lora_rank` factorises the query as in multi-matrix factorisation attention
    (Step-3), None for one matrix."""

    heads: int
    kv_heads: int
    head_dim: int
    v_head_dim: int
    window: int | None = None
    qkv_bias: bool = False
    output_bias: bool = False
    qk_norm: Literal["none", "head", "full"] = "none"
    output_gate: bool = False
    sinks: bool = False
    q_lora_rank: int | None = None


@dataclass(frozen=True, slots=True)
class Mla:
    """Multi-head latent attention. The cache holds kv_lora_rank + qk_rope values per token and layer,
    whole on every tensor-parallel rank. `q_lora_rank` None: the query is projected directly."""

    heads: int
    q_lora_rank: int | None
    kv_lora_rank: int
    qk_nope: int
    qk_rope: int
    v_head: int
    window: int | None = None
    indexer: Indexer | None = None
    output_gate: bool = False


@dataclass(frozen=True, slots=True)
class Recurrent:
    """Linear or recurrent attention: a fixed state per sequence instead of keys and values.

    Attributes:
        form: which recurrence ("gated_delta_net", "mamba2", "kda", "lightning").
        heads: value heads; key_heads: key/query heads; key_dim, value_dim: per head.
        conv: width of the causal convolution, 0 for none.
        params: parameters of the mixer, projections included (`sim.models.matrices.mixer_params`).
        state_dtype_bytes: bytes of one state element as engines keep it.
    """

    form: Literal["gated_delta_net", "mamba2", "kda", "lightning"]
    heads: int
    key_heads: int
    key_dim: int
    value_dim: int
    conv: int
    params: int
    state_dtype_bytes: int = 4


Attention = Gqa | Mla | Recurrent


@dataclass(frozen=True, slots=True)
class DenseFfn:
    """A feed-forward block; `gated` has three matrices (SwiGLU), otherwise two."""

    inter: int
    gated: bool = True
    bias: bool = False


@dataclass(frozen=True, slots=True)
class MoeFfn:
    """Mixture of experts. `groups`/`top_groups`: node-limited routing (1/1: none). `shared_inter` is the
    total width of the shared experts, 0 for none; `router_bias` the correction bias per expert;
    `bias` expert biases; `shared_gate` a scalar gate on the shared expert (Qwen). `zero_experts` are
    identities that the router may choose among `experts + zero_experts` (LongCat): they cost nothing, so
    that top_k is then an upper bound of the experts a token computes."""

    experts: int
    top_k: int
    inter: int
    shared_inter: int = 0
    groups: int = 1
    top_groups: int = 1
    router_bias: bool = False
    bias: bool = False
    shared_gate: bool = False
    gated: bool = True
    zero_experts: int = 0


@dataclass(frozen=True, slots=True)
class Layer:
    """One decoder layer. `norms` counts RMSNorms of the hidden width outside attention (2 for pre-norm);
    `norm_gate_rank` is the rank of a low-rank gate on `gated_norms` of them (None: on each), 0 for none."""

    attention: Attention
    ffn: DenseFfn | MoeFfn
    norms: int = 2
    norm_gate_rank: int = 0
    gated_norms: int | None = None


@dataclass(frozen=True, slots=True)
class ModelArchitecture:
    """A decoder-only model.

    Attributes:
        layers: every layer in order (identical layers are one shared object).
        tied: the output head is the embedding.
        mtp_layers: multi-token-prediction modules shipped with the checkpoint; not in parameter totals.
        mtp_layer: the decoder layer inside each of them; None: the model's last layer.
        released_dtype: the checkpoint's weight type.
        published_total, published_active: parameter counts its authors print, 0 if unknown.
    """

    name: str
    title: str
    hidden: int
    vocab: int
    layers: tuple[Layer, ...]
    context: int
    tied: bool = False
    final_norm: bool = True
    mtp_layers: int = 0
    mtp_layer: Layer | None = None
    released_dtype: str = "bf16"
    published_total: float = 0.0
    published_active: float = 0.0
    exact_total: int | None = None
    source: str = ""


def counted(layers: Iterable[Layer]) -> list[tuple[Layer, int]]:
    """Each different layer with how often it occurs, in order of first appearance.

    By identity, then by value: a layer's hash takes all its numbers, and identical layers mostly are one
    object.
    """
    objects = list(layers)
    times = Counter(map(id, objects))
    by_value: Counter[Layer] = Counter()
    for layer in {id(layer): layer for layer in objects}.values():
        by_value[layer] += times[id(layer)]
    return list(by_value.items())

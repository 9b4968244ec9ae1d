"""The weight matrices of a layer, each once: parameters, FLOPs and sharding all read this list.

A matrix W of k inputs and n outputs holds k·n parameters (+ n with a bias) and costs 2·k·n FLOPs per
token. `split` says how tensor parallelism cuts it:
- column: by outputs (whole heads or FFN columns); row: by inputs, with an all-reduce after it;
- kv: by KV heads, and copied where there are fewer KV heads than ranks;
- replicated: whole on every rank (latent projections, router, indexer, norm gates).
Vectors (norm weights, correction biases, decay terms) multiply element by element: `vectors` counts them.

Sources of the shapes: the modelling code of each family in Hugging Face transformers 5.23.
"""

from dataclasses import dataclass
from typing import Literal

from sim.models.architecture import Attention, DenseFfn, Gqa, Layer, Mla, MoeFfn, Recurrent

Kind = Literal["embedding", "head", "attention", "dense_ffn", "experts", "shared_experts", "router", "norms"]
Split = Literal["column", "row", "kv", "replicated"]

KINDS: tuple[Kind, ...] = (
    "embedding",
    "head",
    "attention",
    "dense_ffn",
    "experts",
    "shared_experts",
    "router",
    "norms",
)


@dataclass(frozen=True, slots=True)
class Matrix:
    """`copies` matrices of `inputs` × `outputs` of which a token multiplies `used` (experts: top-k)."""

    name: str
    kind: Kind
    inputs: int
    outputs: int
    split: Split
    bias: bool = False
    copies: int = 1
    used: int = 1

    @property
    def size(self) -> int:
        """Parameters of one copy, bias included."""
        return self.inputs * self.outputs + (self.outputs if self.bias else 0)

    @property
    def params(self) -> int:
        """Parameters of all copies."""
        return self.copies * self.size

    @property
    def active(self) -> int:
        """Parameters one token multiplies."""
        return self.used * self.size

    @property
    def flops(self) -> int:
        """FLOPs per token."""
        return 2 * self.used * self.inputs * self.outputs


def layer_matrices(layer: Layer, hidden: int) -> tuple[Matrix, ...]:
    """Every matrix of one decoder layer, in the order in which a token meets them."""
    return (
        attention_matrices(layer.attention, hidden)
        + ffn_matrices(layer.ffn, hidden)
        + _norm_gate_matrices(layer, hidden)
    )


def attention_matrices(attention: Attention, hidden: int) -> tuple[Matrix, ...]:
    """The projections of an attention block or recurrent mixer."""
    if isinstance(attention, Gqa):
        return _gqa_matrices(attention, hidden)
    if isinstance(attention, Mla):
        return _mla_matrices(attention, hidden)
    return _recurrent_matrices(attention, hidden)


def ffn_matrices(ffn: DenseFfn | MoeFfn, hidden: int) -> tuple[Matrix, ...]:
    """The matrices of a feed-forward block; gate and up projections are one matrix of twice the width."""
    if isinstance(ffn, DenseFfn):
        return _ffn_pair("ffn", "dense_ffn", hidden, ffn.inter, ffn.gated, ffn.bias)
    choices = ffn.experts + ffn.zero_experts
    router = (Matrix("router", "router", hidden, choices, "replicated"),)
    experts = _ffn_pair("experts", "experts", hidden, ffn.inter, ffn.gated, ffn.bias, ffn.experts, ffn.top_k)
    shared: tuple[Matrix, ...] = ()
    if ffn.shared_inter:
        shared = _ffn_pair("shared", "shared_experts", hidden, ffn.shared_inter, ffn.gated, False)
    if ffn.shared_gate:
        shared += (Matrix("shared_gate", "router", hidden, 1, "replicated"),)
    return router + experts + shared


def vectors(layer: Layer, hidden: int) -> int:
    """Parameters of a layer that are not in a matrix: norm weights, sinks, correction bias, decay terms."""
    count = layer.norms * hidden + _attention_vectors(layer.attention)
    if isinstance(layer.ffn, MoeFfn) and layer.ffn.router_bias:
        count += layer.ffn.experts
    return count


def mixer_params(mixer: Recurrent, hidden: int) -> int:
    """Parameters of a recurrent mixer: its projections, convolution, decay terms and inner norm."""
    return sum(m.params for m in _recurrent_matrices(mixer, hidden)) + _recurrent_vectors(mixer)


def _gqa_matrices(a: Gqa, hidden: int) -> tuple[Matrix, ...]:
    query, value = a.heads * a.head_dim, a.heads * a.v_head_dim
    q: tuple[Matrix, ...]
    if a.q_lora_rank is None:
        q = (Matrix("q", "attention", hidden, query, "column", a.qkv_bias),)
    else:
        q = (
            Matrix("q_a", "attention", hidden, a.q_lora_rank, "replicated"),
            Matrix("q_b", "attention", a.q_lora_rank, query, "column"),
        )
    k = Matrix("k", "attention", hidden, a.kv_heads * a.head_dim, "kv", a.qkv_bias)
    v = Matrix("v", "attention", hidden, a.kv_heads * a.v_head_dim, "kv", a.qkv_bias)
    gate = (Matrix("gate", "attention", hidden, value, "column"),) if a.output_gate else ()
    return (*q, k, v, *gate, Matrix("o", "attention", value, hidden, "row", a.output_bias))


def _mla_matrices(a: Mla, hidden: int) -> tuple[Matrix, ...]:
    query, value = a.heads * (a.qk_nope + a.qk_rope), a.heads * a.v_head
    latent = hidden if a.q_lora_rank is None else a.q_lora_rank
    q: tuple[Matrix, ...] = (Matrix("q_b", "attention", latent, query, "column"),)
    if a.q_lora_rank is not None:
        q = (Matrix("q_a", "attention", hidden, a.q_lora_rank, "replicated"), *q)
    kv_a = Matrix("kv_a", "attention", hidden, a.kv_lora_rank + a.qk_rope, "replicated")
    kv_b = Matrix("kv_b", "attention", a.kv_lora_rank, a.heads * (a.qk_nope + a.v_head), "column")
    index: tuple[Matrix, ...] = ()
    if a.indexer is not None:
        index = (
            Matrix("index_q", "attention", latent, a.indexer.heads * a.indexer.head_dim, "replicated"),
            Matrix("index_k", "attention", hidden, a.indexer.head_dim, "replicated"),
            Matrix("index_weights", "attention", hidden, a.indexer.heads, "replicated"),
        )
    gate = (Matrix("gate", "attention", latent, value, "column"),) if a.output_gate else ()
    return (*q, kv_a, kv_b, *index, *gate, Matrix("o", "attention", value, hidden, "row"))


def _recurrent_matrices(a: Recurrent, hidden: int) -> tuple[Matrix, ...]:
    key, value = a.key_heads * a.key_dim, a.heads * a.value_dim
    out = Matrix("out", "attention", value, hidden, "row")
    if a.form == "gated_delta_net":
        return (
            Matrix("in_qkvz", "attention", hidden, 2 * key + 2 * value, "column"),
            Matrix("in_ba", "attention", hidden, 2 * a.heads, "column"),
            out,
        )
    if a.form == "mamba2":
        return (Matrix("in", "attention", hidden, 2 * value + 2 * key + a.heads, "column"), out)
    qkv = Matrix("qkv", "attention", hidden, 2 * key + value, "column")
    if a.form == "lightning":
        return (qkv, Matrix("gate", "attention", hidden, value, "column"), out)
    return (
        qkv,
        Matrix("decay_a", "attention", hidden, a.key_dim, "replicated"),
        Matrix("decay_b", "attention", a.key_dim, key, "column"),
        Matrix("beta", "attention", hidden, a.heads, "column"),
        Matrix("gate_a", "attention", hidden, a.value_dim, "replicated"),
        Matrix("gate_b", "attention", a.value_dim, value, "column"),
        out,
    )


def _ffn_pair(
    name: str,
    kind: Kind,
    hidden: int,
    inter: int,
    gated: bool,
    bias: bool,
    copies: int = 1,
    used: int = 1,
) -> tuple[Matrix, Matrix]:
    up = Matrix(f"{name}_up", kind, hidden, 2 * inter if gated else inter, "column", bias, copies, used)
    return up, Matrix(f"{name}_down", kind, inter, hidden, "row", bias, copies, used)


def _norm_gate_matrices(layer: Layer, hidden: int) -> tuple[Matrix, ...]:
    rank = layer.norm_gate_rank
    count = layer.norms if layer.gated_norms is None else layer.gated_norms
    if not rank or not count:
        return ()
    return (
        Matrix("norm_gate_down", "norms", hidden, rank, "replicated", copies=count, used=count),
        Matrix("norm_gate_up", "norms", rank, hidden, "replicated", copies=count, used=count),
    )


def _attention_vectors(a: Attention) -> int:
    if isinstance(a, Recurrent):
        return _recurrent_vectors(a)
    if isinstance(a, Mla):
        index_norm = 2 * a.indexer.head_dim if a.indexer is not None else 0
        return (a.q_lora_rank or 0) + a.kv_lora_rank + index_norm
    per_norm = {"none": 0, "head": 2 * a.head_dim, "full": (a.heads + a.kv_heads) * a.head_dim}
    return per_norm[a.qk_norm] + (a.heads if a.sinks else 0) + (a.q_lora_rank or 0)


def _recurrent_vectors(a: Recurrent) -> int:
    key, value = a.key_heads * a.key_dim, a.heads * a.value_dim
    convolved = (2 * key + value) * a.conv
    if a.form == "gated_delta_net":
        return convolved + 2 * a.heads + a.value_dim
    if a.form == "mamba2":
        conv_bias = 2 * key + value if a.conv else 0
        return convolved + conv_bias + 3 * a.heads + value
    if a.form == "lightning":
        return value
    return convolved + key + a.heads + a.value_dim

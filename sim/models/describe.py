"""A model as plain, JSON-ready data: what `bandwall models list|show|check` prints."""

from dataclasses import asdict, dataclass

from sim.models.accounting import (
    active_params,
    deployed_dtypes,
    distinct_layers,
    flops_per_token,
    indexer_bytes_per_token,
    kv_bytes_per_token,
    mtp_params,
    params_by_kind,
    state_bytes_per_sequence,
    total_params,
    weight_bytes,
)
from sim.models.architecture import Attention, DenseFfn, Gqa, Layer, Mla, ModelArchitecture, Recurrent
from sim.models.dtypes import BYTES_PER_VALUE
from sim.version import __version__

CONTEXTS = (1, 1024, 8192, 32768, 131072, 1048576)

_FORMS = {
    "gated_delta_net": "Gated DeltaNet",
    "mamba2": "Mamba2",
    "kda": "Kimi Delta Attention",
    "lightning": "lightning attention",
}


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """Counts are parameters, bytes are bytes, FLOPs are per decoded token.

    `weight_bytes` has every weight in that type; `weight_bytes_deployed` keeps embedding, head, norms and
    router in bf16, as a deployment does unless told otherwise. `kv_bytes_per_token_expanded` is what an
    engine caches that expands MLA to full heads (None without MLA). `total_vs_published` is a fraction.
    """

    name: str
    title: str
    source: str
    released_dtype: str
    hidden: int
    vocab: int
    context: int
    layers: list[str]
    total_params: int
    active_params: int
    active_params_without_embedding: int
    params_by_kind: dict[str, int]
    mtp_params: int
    published_total: float | None
    published_active: float | None
    exact_total: int | None
    total_vs_published: float | None
    active_vs_published: float | None
    weight_bytes: dict[str, float]
    weight_bytes_deployed: dict[str, float]
    kv_bytes_per_token: dict[str, float]
    kv_bytes_per_token_unbounded: dict[str, float]
    kv_bytes_per_token_expanded: dict[str, float] | None
    indexer_bytes_per_token: dict[str, float]
    state_bytes_per_sequence: int
    flops_per_token: dict[int, float]

    def to_json(self) -> dict[str, object]:
        """The same as plain data, with the version that counted it."""
        counts: dict[str, object] = asdict(self)
        return {"schema": 1, "version": __version__} | counts


def describe_model(model: ModelArchitecture) -> ModelDescription:
    """Everything the model adds up to, beside what its authors print."""
    total, active = total_params(model), active_params(model)
    return ModelDescription(
        name=model.name,
        title=model.title,
        source=model.source,
        released_dtype=model.released_dtype,
        hidden=model.hidden,
        vocab=model.vocab,
        context=model.context,
        layers=[f"{count} × {layer_text(layer)}" for layer, count in distinct_layers(model)],
        total_params=total,
        active_params=active,
        active_params_without_embedding=active_params(model, embedding=False),
        params_by_kind={str(kind): count for kind, count in params_by_kind(model).items()},
        mtp_params=mtp_params(model),
        published_total=model.published_total or None,
        published_active=model.published_active or None,
        exact_total=model.exact_total,
        total_vs_published=_apart(total, model.published_total),
        active_vs_published=_apart(active, model.published_active),
        weight_bytes={dtype: weight_bytes(model, dtype) for dtype in BYTES_PER_VALUE},
        weight_bytes_deployed={d: weight_bytes(model, deployed_dtypes(d)) for d in BYTES_PER_VALUE},
        kv_bytes_per_token={d: kv_bytes_per_token(model, d) for d in BYTES_PER_VALUE},
        kv_bytes_per_token_unbounded={
            d: kv_bytes_per_token(model, d, unbounded=True) for d in BYTES_PER_VALUE
        },
        kv_bytes_per_token_expanded=_expanded(model),
        indexer_bytes_per_token={d: indexer_bytes_per_token(model, d) for d in BYTES_PER_VALUE},
        state_bytes_per_sequence=state_bytes_per_sequence(model),
        flops_per_token={c: flops_per_token(model, c) for c in CONTEXTS if c <= model.context},
    )


def layer_text(layer: Layer) -> str:
    """A layer in words: its attention and its feed-forward block."""
    return f"{attention_text(layer.attention)}; {_ffn_text(layer)}"


def attention_text(attention: Attention) -> str:
    """An attention block in words."""
    if isinstance(attention, Recurrent):
        shape = f"{attention.heads} heads, state {attention.key_dim}×{attention.value_dim}"
        return f"{_FORMS[attention.form]}, {shape}"
    if isinstance(attention, Gqa):
        text = f"{_gqa_word(attention)}, {attention.heads}/{attention.kv_heads} heads of {attention.head_dim}"
    else:
        text = f"MLA, {attention.heads} heads, latent {attention.kv_lora_rank} + {attention.qk_rope}"
        if attention.indexer is not None:
            text += f", top {attention.indexer.top_k} of a {attention.indexer.heads}-head indexer"
    if attention.output_gate:
        text += ", output gate"
    return text if attention.window is None else f"{text}, window {attention.window}"


def _gqa_word(attention: Gqa) -> str:
    if attention.kv_heads == attention.heads:
        return "MHA"
    return "MQA" if attention.kv_heads == 1 else "GQA"


def _ffn_text(layer: Layer) -> str:
    ffn = layer.ffn
    if isinstance(ffn, DenseFfn):
        return f"dense FFN {ffn.inter}"
    text = f"{ffn.experts} experts of {ffn.inter}, top {ffn.top_k}"
    if ffn.groups > 1:
        text += f" within {ffn.top_groups} of {ffn.groups} groups"
    return f"{text}, shared {ffn.shared_inter}" if ffn.shared_inter else text


def _expanded(model: ModelArchitecture) -> dict[str, float] | None:
    if not any(isinstance(layer.attention, Mla) for layer in model.layers):
        return None
    return {d: kv_bytes_per_token(model, d, expand_mla=True) for d in BYTES_PER_VALUE}


def _apart(computed: int, published: float) -> float | None:
    return (computed - published) / published if published else None

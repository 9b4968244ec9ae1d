"""From the written form to the architecture that formulas see."""

from dataclasses import replace

from sim.models.architecture import (
    Attention,
    DenseFfn,
    Gqa,
    Indexer,
    Layer,
    Mla,
    ModelArchitecture,
    MoeFfn,
    Recurrent,
)
from sim.models.matrices import mixer_params
from sim.models.schema import DenseSpec, GqaSpec, MlaSpec, ModelSpec, MoeSpec, RecurrentSpec, RunSpec


def build_model(spec: ModelSpec) -> ModelArchitecture:
    """The architecture of a validated spec; identical layers are one shared object."""
    attention = {name: _attention(block, spec.hidden) for name, block in spec.attention.items()}
    ffn = {name: _ffn(block) for name, block in spec.ffn.items()}
    shared: dict[Layer, Layer] = {}
    layers = tuple(
        shared.setdefault(layer, layer) for run in spec.layers for layer in _run(run, attention, ffn)
    )
    return ModelArchitecture(
        name=spec.name,
        title=spec.title or spec.name,
        hidden=spec.hidden,
        vocab=spec.vocab,
        layers=layers,
        context=spec.context,
        tied=spec.tied,
        final_norm=spec.final_norm,
        mtp_layers=spec.mtp.layers if spec.mtp else 0,
        mtp_layer=_mtp_layer(spec, layers[-1], attention, ffn),
        released_dtype=spec.released_dtype,
        published_total=spec.published.total or 0.0,
        published_active=spec.published.active or 0.0,
        exact_total=spec.published.exact_total,
        source=spec.source,
    )


def _attention(spec: GqaSpec | MlaSpec | RecurrentSpec, hidden: int) -> Attention:
    if isinstance(spec, GqaSpec):
        return Gqa(
            heads=spec.heads,
            kv_heads=spec.kv_heads,
            head_dim=spec.head_dim,
            v_head_dim=spec.v_head_dim or spec.head_dim,
            window=spec.window,
            qkv_bias=spec.qkv_bias,
            output_bias=spec.output_bias,
            qk_norm=spec.qk_norm,
            output_gate=spec.output_gate,
            sinks=spec.sinks,
            q_lora_rank=spec.q_lora_rank,
        )
    if isinstance(spec, MlaSpec):
        index = spec.indexer
        return Mla(
            heads=spec.heads,
            q_lora_rank=spec.q_lora_rank,
            kv_lora_rank=spec.kv_lora_rank,
            qk_nope=spec.qk_nope,
            qk_rope=spec.qk_rope,
            v_head=spec.v_head,
            window=spec.window,
            indexer=Indexer(index.heads, index.head_dim, index.top_k) if index else None,
            output_gate=spec.output_gate,
        )
    mixer = Recurrent(
        form=spec.kind,
        heads=spec.heads,
        key_heads=spec.key_heads,
        key_dim=spec.key_dim,
        value_dim=spec.value_dim,
        conv=spec.conv,
        params=0,
        state_dtype_bytes=spec.state_dtype_bytes,
    )
    return replace(mixer, params=mixer_params(mixer, hidden))


def _ffn(spec: DenseSpec | MoeSpec) -> DenseFfn | MoeFfn:
    if isinstance(spec, DenseSpec):
        return DenseFfn(inter=spec.inter, gated=spec.gated, bias=spec.bias)
    return MoeFfn(
        experts=spec.experts,
        top_k=spec.top_k,
        inter=spec.inter,
        shared_inter=spec.shared_inter,
        groups=spec.groups,
        top_groups=spec.top_groups,
        router_bias=spec.router_bias,
        bias=spec.bias,
        shared_gate=spec.shared_gate,
        gated=spec.gated,
        zero_experts=spec.zero_experts,
    )


def _run(run: RunSpec, attention: dict[str, Attention], ffn: dict[str, DenseFfn | MoeFfn]) -> list[Layer]:
    mixers = [run.attention] if isinstance(run.attention, str) else run.attention
    feeds = [run.ffn] if isinstance(run.ffn, str) else run.ffn
    return [
        Layer(
            attention=attention[mixers[i % len(mixers)]],
            ffn=ffn[feeds[i % len(feeds)]],
            norms=run.norms,
            norm_gate_rank=run.norm_gate_rank,
            gated_norms=run.gated_norms,
        )
        for i in range(run.count)
    ]


def _mtp_layer(
    spec: ModelSpec, last: Layer, attention: dict[str, Attention], ffn: dict[str, DenseFfn | MoeFfn]
) -> Layer | None:
    if spec.mtp is None or (spec.mtp.attention is None and spec.mtp.ffn is None):
        return None
    return replace(
        last,
        attention=attention[spec.mtp.attention] if spec.mtp.attention else last.attention,
        ffn=ffn[spec.mtp.ffn] if spec.mtp.ffn else last.ffn,
    )

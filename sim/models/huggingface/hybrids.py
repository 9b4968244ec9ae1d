"""Decoders whose layers alternate between attention and a recurrent mixer."""

from sim.models.huggingface.config import Config, Tree
from sim.models.huggingface.decoder import Decoder, dense, gqa, layer_count, typed_layers, written_form
from sim.models.huggingface.deepseek import mla
from sim.models.huggingface.mixtures import moe, sparse_or_dense

_MIXED = {"linear_attention": "linear", "mamba": "linear", "full_attention": "full", "attention": "full"}


def bamba(config: Config) -> Tree:
    """Bamba: Mamba2, attention on the layers of `attn_layer_indices`, a dense block each."""
    bias = config.flag("attention_bias", False)
    attention_at = set(config.numbers("attn_layer_indices") or [])
    default = ["full_attention" if i in attention_at else "mamba" for i in range(layer_count(config))]
    types = typed_layers(config, config.words("layer_types", "layers_block_type"), default, _MIXED)
    blocks = {"linear": mamba2(config), "full": gqa(config, qkv_bias=bias, output_bias=bias)}
    ffn = {"dense": dense(config, bias=config.flag("mlp_bias", False))}
    return written_form(config, Decoder(blocks, ffn, [(kind, "dense") for kind in types]))


def granite_hybrid(config: Config) -> Tree:
    """Granite 4 hybrid: Mamba2 and attention by `layer_types`; experts and a shared block, or without experts
    (`num_local_experts` 0) the shared block alone."""
    bias = config.flag("attention_bias", False)
    default = ["mamba"] * layer_count(config)
    types = typed_layers(config, config.words("layer_types", "layers_block_type"), default, _MIXED)
    blocks = {"linear": mamba2(config), "full": gqa(config, qkv_bias=bias, output_bias=bias)}
    shared = config.count("shared_intermediate_size")
    if config.count("num_local_experts", default=8):
        feed = "moe"
        ffn = {"moe": moe(config, "intermediate_size", grouped=False) | {"shared_inter": shared}}
    else:
        feed = "dense"
        ffn: dict[str, Tree] = {"dense": {"kind": "dense", "inter": shared}}
        config.inert("intermediate_size", "num_experts_per_tok")
    return written_form(config, Decoder(blocks, ffn, [(kind, feed) for kind in types]))


def minimax_text(config: Config) -> Tree:
    """MiniMax-Text-01: lightning attention, full attention where `layer_types` (or a 1 in `attn_type_list`)
    says so; all layers mixtures."""
    layers = layer_count(config)
    config.only("sliding_window")
    config.only("shared_intermediate_size", 0)
    config.only("postnorm", True, False)
    config.inert(
        "block_size", "shared_moe_mode", "layernorm_full_attention_alpha", "layernorm_full_attention_beta"
    )
    config.inert("layernorm_linear_attention_alpha", "layernorm_linear_attention_beta")
    config.inert(
        "layernorm_mlp_alpha", "layernorm_mlp_beta", "full_attn_alpha_factor", "full_attn_beta_factor"
    )
    config.inert("linear_attn_alpha_factor", "linear_attn_beta_factor", "mlp_alpha_factor", "mlp_beta_factor")
    marks = config.numbers("attn_type_list") or [(i + 1) % 2 for i in range(layers)]
    default = ["full_attention" if mark else "linear_attention" for mark in marks]
    types = typed_layers(config, config.words("layer_types"), default, _MIXED)
    full = gqa(config)
    heads, head_dim = full["heads"], full["head_dim"]
    linear: Tree = {
        "kind": "lightning",
        "heads": heads,
        "key_heads": heads,
        "key_dim": head_dim,
        "value_dim": head_dim,
        "conv": 0,
    }
    experts = moe(config, "intermediate_size", grouped=False)
    layers_of = [(kind, "moe") for kind in types]
    return written_form(config, Decoder({"linear": linear, "full": full}, {"moe": experts}, layers_of))


def kimi_linear(config: Config) -> Tree:
    """Kimi Linear: Kimi Delta Attention, MLA on the layers (from 1) of `linear_attn_config.full_attn_layers`;
    one dense layer where it is not said, correction bias."""
    config.only("mla_use_nope", True)
    config.only("use_grouped_topk", True)
    config.only("topk_method", "noaux_tc")
    config.only("num_nextn_predict_layers", 0)
    inner = Config(config.file, "linear_attn_config", config.mapping("linear_attn_config"))
    full_at, linear_at = set(inner.numbers("full_attn_layers") or []), set(inner.numbers("kda_layers") or [])
    layers = layer_count(config)
    if full_at | linear_at != set(range(1, layers + 1)) or full_at & linear_at:
        raise config.error(f"linear_attn_config must name each of the {layers} layers once")
    heads, head_dim = inner.count("num_heads"), inner.count("head_dim")
    kda: Tree = {
        "kind": "kda",
        "heads": heads,
        "key_heads": heads,
        "key_dim": head_dim,
        "value_dim": head_dim,
        "conv": inner.count("short_conv_kernel_size"),
    }
    inner.refuse_unread()
    feeds = sparse_or_dense(config, first_dense=1)
    ffn = {"moe": moe(config, shared="num_shared_experts", router_bias=True)}
    if "dense" in feeds:
        ffn["dense"] = dense(config)
    kinds = ["mla" if i + 1 in full_at else "kda" for i in range(layers)]
    return written_form(
        config, Decoder({"kda": kda, "mla": mla(config)}, ffn, list(zip(kinds, feeds, strict=True)))
    )


def mamba2(config: Config) -> Tree:
    """A Mamba2 mixer as Bamba and Granite write it; the convolution has a bias, the projections have none."""
    config.only("mamba_conv_bias", True)
    config.only("mamba_proj_bias", False)
    config.inert("mamba_chunk_size", "time_step_limit", "time_step_min", "time_step_max", "time_step_floor")
    heads = config.count("mamba_n_heads")
    inner = config.count("mamba_expand", default=2) * config.count("hidden_size")
    head = config.get("mamba_d_head")
    head_dim = config.count("mamba_d_head") if isinstance(head, int) else inner // max(heads, 1)
    if head not in (None, "auto") and not isinstance(head, int):
        raise config.error(f"mamba_d_head: found {head!r}; a whole number or auto is understood")
    if heads * head_dim != inner:
        raise config.error(
            f"mamba_n_heads {heads} times mamba_d_head {head_dim} is not the inner width {inner}"
        )
    return {
        "kind": "mamba2",
        "heads": heads,
        "key_heads": config.count("mamba_n_groups", default=1),
        "key_dim": config.count("mamba_d_state"),
        "value_dim": head_dim,
        "conv": config.count("mamba_d_conv"),
    }


READERS = {
    "BambaForCausalLM": bamba,
    "GraniteMoeHybridForCausalLM": granite_hybrid,
    "KimiLinearForCausalLM": kimi_linear,
    "MiniMaxForCausalLM": minimax_text,
    "MiniMaxText01ForCausalLM": minimax_text,
}

"""Qwen (Alibaba) from the second generation on, and MiMo 7B, which has Qwen2's shapes."""

from sim.models.huggingface.config import Config, Tree
from sim.models.huggingface.decoder import Decoder, dense, every, gqa, layer_count, typed_layers, written_form
from sim.models.huggingface.llama import layer_types, window_blocks
from sim.models.huggingface.mixtures import moe, stepped


def qwen2(config: Config) -> Tree:
    """Qwen2: biases on q k v, none on the output."""
    return _dense(config, {"qkv_bias": True})


def mimo(config: Config) -> Tree:
    """MiMo 7B: Qwen2 with a switch for the biases and an MTP module."""
    fields: Tree = {"qkv_bias": config.flag("attention_bias", True)}
    return _dense(config, fields, mtp={"layers": config.count("num_nextn_predict_layers", default=0)})


def qwen3(config: Config) -> Tree:
    """Qwen3: no biases unless `attention_bias`, query and key norms per head, head of 128."""
    return _dense(config, _third_generation(config))


def qwen2_moe(config: Config) -> Tree:
    """Qwen2 MoE: q k v biases, a gated shared expert of its own width."""
    config.only("use_sliding_window", False)
    config.inert("sliding_window", "layer_types")
    fields: Tree = {"qkv_bias": config.flag("qkv_bias", True)}
    return _mixture(config, gqa(config, **fields), _gated_shared(config, moe(config, grouped=False)))


def qwen3_moe(config: Config) -> Tree:
    """Qwen3 MoE: no shared expert."""
    config.only("use_sliding_window", False)
    config.only("qkv_bias", False)
    config.only("use_qk_norm", True)
    config.only("shared_expert_intermediate_size", 0)
    config.inert("sliding_window")
    return _mixture(config, gqa(config, **_third_generation(config)), moe(config, grouped=False))


def qwen3_next(config: Config) -> Tree:
    """Qwen3 Next: Gated DeltaNet, and gated full attention on every fourth layer; mixtures with a gated
    shared expert."""
    return _hybrid(config, stepped(config), context=None)


def qwen3_5(config: Config) -> Tree:
    """Qwen3.5 and 3.6 dense: the layers of Qwen3 Next with a dense block."""
    config.only("mlp_only_layers", [])
    return _hybrid(config, ["dense"] * layer_count(config), context=32768)


def qwen3_5_moe(config: Config) -> Tree:
    """Qwen3.5 and 3.6 MoE: as Qwen3 Next, every layer a mixture."""
    config.only("mlp_only_layers", [])
    config.inert("intermediate_size")
    return _hybrid(config, ["moe"] * layer_count(config), context=32768)


def _third_generation(config: Config) -> Tree:
    bias = config.flag("attention_bias", False)
    return {
        "qkv_bias": bias,
        "output_bias": bias,
        "qk_norm": "head",
        "head_dim": config.count("head_dim", default=128),
    }


def _dense(config: Config, fields: Tree, mtp: Tree | None = None) -> Tree:
    """A window on the layers from `max_window_layers` on, where `use_sliding_window` is set."""
    layers = layer_count(config)
    default = ["full"] * layers
    if config.flag("use_sliding_window", False):
        first = config.count("max_window_layers", default=28)
        default = ["full" if i < first else "local" for i in range(layers)]
    types = layer_types(config, default)
    blocks = window_blocks(config, types, fields)
    ffn = {"dense": dense(config)}
    return written_form(config, Decoder(blocks, ffn, [(t, "dense") for t in types], mtp=mtp or {}))


def _mixture(config: Config, attention: Tree, experts: Tree) -> Tree:
    feeds = stepped(config)
    ffn = {"moe": experts}
    if "dense" in feeds:
        ffn["dense"] = dense(config)
    config.inert("intermediate_size")
    return written_form(config, Decoder({"gqa": attention}, ffn, [("gqa", f) for f in feeds]))


def _hybrid(config: Config, feeds: list[str], context: int | None) -> Tree:
    config.only("attn_output_gate", True)
    config.only("mtp_use_dedicated_embeddings", False)
    period = config.count("full_attention_interval", default=4)
    allowed = {"linear_attention": "linear", "full_attention": "full"}
    default = every(len(feeds), period, "full_attention", "linear_attention")
    types = typed_layers(config, config.words("layer_types"), default, allowed)
    fields = _third_generation(config) | {
        "head_dim": config.count("head_dim", default=256),
        "output_gate": True,
    }
    blocks = {"linear": _delta_net(config), "full": gqa(config, **fields)}
    ffn: dict[str, Tree] = {}
    if "moe" in feeds:
        ffn["moe"] = _gated_shared(config, moe(config, grouped=False))
    if "dense" in feeds:
        ffn["dense"] = dense(config)
    config.inert("intermediate_size")
    mtp: Tree = {"layers": config.count("mtp_num_hidden_layers", default=0)}
    return written_form(
        config, Decoder(blocks, ffn, list(zip(types, feeds, strict=True)), mtp=mtp), context=context
    )


def _delta_net(config: Config) -> Tree:
    """Gated DeltaNet; its state in fp32 unless `mamba_ssm_dtype` says otherwise."""
    config.only("mamba_ssm_dtype", "float32", "bfloat16")
    half = config.get("mamba_ssm_dtype") == "bfloat16"
    mixer: Tree = {
        "kind": "gated_delta_net",
        "heads": config.count("linear_num_value_heads"),
        "key_heads": config.count("linear_num_key_heads"),
        "key_dim": config.count("linear_key_head_dim"),
        "value_dim": config.count("linear_value_head_dim"),
        "conv": config.count("linear_conv_kernel_dim"),
    }
    return mixer | ({"state_dtype_bytes": 2} if half else {})


def _gated_shared(config: Config, experts: Tree) -> Tree:
    width = config.count("shared_expert_intermediate_size")
    return experts | ({"shared_inter": width, "shared_gate": True} if width else {})


READERS = {
    "MiMoForCausalLM": mimo,
    "Qwen2ForCausalLM": qwen2,
    "Qwen2MoeForCausalLM": qwen2_moe,
    "Qwen3ForCausalLM": qwen3,
    "Qwen3MoeForCausalLM": qwen3_moe,
    "Qwen3NextForCausalLM": qwen3_next,
    "Qwen3_5ForCausalLM": qwen3_5,
    "Qwen3_5MoeForCausalLM": qwen3_5_moe,
}

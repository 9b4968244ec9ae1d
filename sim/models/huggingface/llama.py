"""Plain decoders with grouped-query attention and one dense block per layer.

Each function states what its config class in transformers does where a key is absent.
"""

from sim.models.huggingface.config import Config, Tree
from sim.models.huggingface.decoder import Decoder, dense, every, gqa, layer_count, typed_layers, written_form

_TYPES = {"full_attention": "full", "sliding_attention": "local"}


def plain(config: Config, attention: Tree, ffn: Tree, tied: bool = False, norms: int = 2) -> Tree:
    """Every layer alike."""
    layers = [("gqa", "dense")] * layer_count(config)
    return written_form(config, Decoder({"gqa": attention}, {"dense": ffn}, layers, tied=tied, norms=norms))


def mixed(
    config: Config, types: list[str], fields: Tree, ffn: Tree, tied: bool = False, norms: int = 2
) -> Tree:
    """Windowed ("local") and full layers in the order of `types`; the window under `sliding_window`."""
    blocks = window_blocks(config, types, fields)
    layers = [(kind, "dense") for kind in types]
    return written_form(config, Decoder(blocks, {"dense": ffn}, layers, tied=tied, norms=norms))


def window_blocks(config: Config, types: list[str], fields: Tree) -> dict[str, Tree]:
    """A block with and one without the sliding window."""
    window = config.maybe("sliding_window")
    if "local" in types and not window:
        raise config.error("sliding_window is missing though layers are of type sliding_attention")
    return {"local": gqa(config, **fields, window=window), "full": gqa(config, **fields)}


def layer_types(config: Config, default: list[str]) -> list[str]:
    """`layer_types` as full and local; `default` (in those words) where it is absent."""
    words = {v: k for k, v in _TYPES.items()}
    return typed_layers(config, config.words("layer_types"), [words[d] for d in default], _TYPES)


def llama(config: Config) -> Tree:
    """Llama: biases off, head untied. Also SmolLM3's shapes apart from its defaults."""
    bias = config.flag("attention_bias", False)
    return plain(
        config,
        gqa(config, qkv_bias=bias, output_bias=bias),
        dense(config, bias=config.flag("mlp_bias", False)),
    )


def mistral(config: Config) -> Tree:
    """Mistral, Ministral: no biases; a window of 4,096 where `sliding_window` is absent, none where null."""
    window = 4096 if "sliding_window" not in config.tree else config.maybe("sliding_window")
    default = ["full" if window is None else "local"] * layer_count(config)
    types = layer_types(config, default)
    blocks = {"local": gqa(config, window=window), "full": gqa(config)}
    layers = [(kind, "dense") for kind in types]
    return written_form(config, Decoder(blocks, {"dense": dense(config)}, layers))


def ministral3(config: Config) -> Tree:
    """Ministral 3: no biases, no window where `sliding_window` is absent."""
    window = config.maybe("sliding_window")
    return plain(config, gqa(config, window=window), dense(config))


def smollm3(config: Config) -> Tree:
    """SmolLM3: tied, no biases; layers without rotary encoding have the same shapes."""
    config.only("use_sliding_window", False)
    config.inert("sliding_window")
    types = layer_types(config, ["full"] * layer_count(config))
    bias = config.flag("attention_bias", False)
    ffn = dense(config, bias=config.flag("mlp_bias", False))
    return mixed(config, types, {"qkv_bias": bias, "output_bias": bias}, ffn, tied=True)


def seed_oss(config: Config) -> Tree:
    """Seed-OSS: q k v biases on, output bias off, head of 128."""
    attention = gqa(
        config,
        qkv_bias=config.flag("attention_bias", True),
        output_bias=config.flag("attention_out_bias", False),
    )
    return plain(config, attention, dense(config, bias=config.flag("mlp_bias", False)))


def phi3(config: Config) -> Tree:
    """Phi-3 and Phi-4-mini: fused projections without biases, no window where it is absent."""
    config.only("attention_bias", False)
    return plain(config, gqa(config, window=config.maybe("sliding_window")), dense(config))


def hyperclovax(config: Config) -> Tree:
    """HyperCLOVA X: two more norms, after each block, unless `use_post_norm` is false."""
    bias = config.flag("attention_bias", False)
    norms = 4 if config.flag("use_post_norm", True) else 2
    ffn = dense(config, bias=config.flag("mlp_bias", False))
    return plain(config, gqa(config, qkv_bias=bias, output_bias=bias), ffn, norms=norms)


def arcee(config: Config) -> Tree:
    """Arcee: a feed-forward block of two matrices (squared ReLU)."""
    bias = config.flag("attention_bias", False)
    ffn = dense(config, gated=False, bias=config.flag("mlp_bias", False))
    return plain(config, gqa(config, qkv_bias=bias, output_bias=bias), ffn)


def ernie(config: Config) -> Tree:
    """ERNIE 4.5 dense: one switch for all biases, tied."""
    bias = config.flag("use_bias", False)
    return plain(config, gqa(config, qkv_bias=bias, output_bias=bias), dense(config, bias=bias), tied=True)


def hunyuan_dense(config: Config) -> Tree:
    """Hunyuan V1 dense: query and key norms per head."""
    config.only("use_qk_norm", True)
    config.only("use_cla", False)
    bias = config.flag("attention_bias", False)
    return plain(config, gqa(config, qkv_bias=bias, output_bias=bias, qk_norm="head"), dense(config))


def glm(config: Config) -> Tree:
    """GLM-4 (2024): q k v biases on, output bias never."""
    return plain(config, gqa(config, qkv_bias=config.flag("attention_bias", True)), dense(config))


def glm4(config: Config) -> Tree:
    """GLM-4 (0414): as `glm` with norms before and after each block."""
    return plain(config, gqa(config, qkv_bias=config.flag("attention_bias", True)), dense(config), norms=4)


def cohere(config: Config) -> Tree:
    """Command R: attention and FFN share one LayerNorm without bias; tied; query and key norms, where on,
    have a weight per head and channel."""
    bias = config.flag("attention_bias", False)
    norm = "full" if config.flag("use_qk_norm", False) else "none"
    return plain(
        config,
        gqa(config, qkv_bias=bias, output_bias=bias, qk_norm=norm),
        dense(config),
        tied=True,
        norms=1,
    )


def cohere2(config: Config) -> Tree:
    """Command A: as `cohere`, with a window on three layers of four."""
    period = config.count("sliding_window_pattern", default=4)
    config.inert("cache_implementation", "order_of_interleaved_layers", "rotary_pct", "use_embedding_sharing")
    config.only("use_gated_activation", True)
    config.only("use_parallel_block", True)
    config.only("use_parallel_embedding", False)
    config.only("use_qk_norm", False)
    types = layer_types(config, every(layer_count(config), period, "full", "local"))
    bias = config.flag("attention_bias", False)
    return mixed(config, types, {"qkv_bias": bias, "output_bias": bias}, dense(config), tied=True, norms=1)


READERS = {
    "ArceeForCausalLM": arcee,
    "Cohere2ForCausalLM": cohere2,
    "CohereForCausalLM": cohere,
    "Ernie4_5ForCausalLM": ernie,
    "Glm4ForCausalLM": glm4,
    "GlmForCausalLM": glm,
    "GraniteForCausalLM": llama,
    "HunYuanDenseV1ForCausalLM": hunyuan_dense,
    "HyperCLOVAXForCausalLM": hyperclovax,
    "LlamaForCausalLM": llama,
    "Ministral3ForCausalLM": ministral3,
    "MinistralForCausalLM": mistral,
    "MistralForCausalLM": mistral,
    "Phi3ForCausalLM": phi3,
    "SeedOssForCausalLM": seed_oss,
    "SmolLM3ForCausalLM": smollm3,
}

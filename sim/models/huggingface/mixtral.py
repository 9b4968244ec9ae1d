"""Mixtures of experts on grouped-query attention that differ in little."""

from sim.models.huggingface.config import Config, Tree
from sim.models.huggingface.decoder import Decoder, dense, gqa, layer_count, typed_layers, written_form
from sim.models.huggingface.mixtures import moe, sparse_or_dense, uniform


def mixtral(config: Config) -> Tree:
    """Mixtral: no biases, no window where it is absent, experts as wide as `intermediate_size`."""
    attention = gqa(config, window=config.maybe("sliding_window"))
    return uniform(config, attention, moe(config, "intermediate_size", grouped=False))


def granite_moe(config: Config) -> Tree:
    """Granite MoE; with `shared_intermediate_size` a shared expert of that width."""
    bias = config.flag("attention_bias", False)
    experts = moe(config, "intermediate_size", grouped=False)
    if shared := config.count("shared_intermediate_size", default=0):
        experts["shared_inter"] = shared
    return uniform(config, gqa(config, qkv_bias=bias, output_bias=bias), experts)


def olmoe(config: Config) -> Tree:
    """OLMoE: query and key norms over the whole width."""
    bias = config.flag("attention_bias", False)
    attention = gqa(config, qkv_bias=bias, output_bias=bias, qk_norm="full")
    return uniform(config, attention, moe(config, "intermediate_size", grouped=False))


def minimax_m2(config: Config) -> Tree:
    """MiniMax M2: query and key norms over the whole width, correction bias. Its config speaks of MTP
    modules; they are not counted, since released checkpoints need not hold them."""
    config.only("use_qk_norm", True)
    config.only("qk_norm_type", "per_layer")
    config.only("use_routing_bias", True)
    config.only("shared_intermediate_size", 0)
    config.only("attn_type_list", [1] * layer_count(config))
    config.only("sliding_window")
    config.inert("use_mtp", "mtp_transformer_layers", "num_mtp_modules")
    return uniform(config, gqa(config, qk_norm="full"), moe(config, "intermediate_size", router_bias=True))


def solar_open(config: Config) -> Tree:
    """Solar Open: every layer a mixture with one shared expert and a correction bias."""
    config.only("first_k_dense_replace", 0)
    config.only("use_qk_norm", False)
    config.inert("intermediate_size")
    bias = config.flag("attention_bias", False)
    attention = gqa(config, qkv_bias=bias)
    return uniform(config, attention, moe(config, shared="n_shared_experts", router_bias=True))


def glm4_moe(config: Config) -> Tree:
    """GLM-4.5: leading dense layers, q k v biases and query-key norms where switched on, correction bias."""
    attention = gqa(
        config,
        qkv_bias=config.flag("attention_bias", False),
        qk_norm="head" if config.flag("use_qk_norm", False) else "none",
    )
    return _leading_dense(config, attention, moe(config, shared="n_shared_experts", router_bias=True), 1)


def dots1(config: Config) -> Tree:
    """dots.llm1: query and key norms, full attention."""
    layers = layer_count(config)
    typed_layers(config, config.words("layer_types"), ["full_attention"] * layers, {"full_attention": "full"})
    config.inert("sliding_window")
    bias = config.flag("attention_bias", False)
    attention = gqa(config, qkv_bias=bias, output_bias=bias, qk_norm="head")
    return _leading_dense(config, attention, moe(config, shared="n_shared_experts", router_bias=True), 0)


def hy3(config: Config) -> Tree:
    """Hunyuan Hy3: one dense layer, a shared expert, query and key norms, correction bias."""
    config.only("mlp_bias", False)
    bias = config.flag("attention_bias", False)
    attention = gqa(config, qkv_bias=bias, output_bias=bias, qk_norm="head")
    return _leading_dense(config, attention, moe(config, shared="num_shared_experts", router_bias=True), 1)


def llama4(config: Config) -> Tree:
    """Llama 4 text: mixtures on the layers of `moe_layers` or every `interleave_moe_layer_step`, one shared
    expert as wide as a routed one; chunked attention is taken as a window of the chunk's length, an upper
    bound. Query and key norms have no weights."""
    layers = layer_count(config)
    config.inert("use_qk_norm")
    bias = config.flag("attention_bias", False)
    chunk = config.count("attention_chunk_size", default=8192)
    period = config.count("no_rope_layer_interval", default=4)
    has_rope = config.numbers("no_rope_layers") or [int((i + 1) % period != 0) for i in range(layers)]
    default = ["chunked_attention" if rope else "full_attention" for rope in has_rope]
    allowed = {"chunked_attention": "local", "full_attention": "full"}
    types = typed_layers(config, config.words("layer_types"), default, allowed)
    step = config.count("interleave_moe_layer_step", default=1)
    given = config.numbers("moe_layers")
    sparse = set(range(step - 1, layers, step) if given is None else given)
    fields: Tree = {"qkv_bias": bias, "output_bias": bias}
    blocks = {"local": gqa(config, **fields, window=chunk), "full": gqa(config, **fields)}
    experts = moe(config, "intermediate_size", grouped=False)
    experts["shared_inter"] = experts["inter"]
    ffn = {"dense": dense(config, "intermediate_size_mlp"), "moe": experts}
    kinds = [(kind, "moe" if i in sparse else "dense") for i, kind in enumerate(types)]
    return written_form(config, Decoder(blocks, ffn, kinds), vocab=202048, context=131072)


def ernie_moe(config: Config) -> Tree:
    """ERNIE 4.5 MoE: mixtures from `moe_layer_start_index` to `moe_layer_end_index`, every
    `moe_layer_interval`; tied; the correction bias is a vector per expert."""
    layers = layer_count(config)
    config.only("use_bias", False)
    first = config.count("moe_layer_start_index", default=1)
    end = config.get("moe_layer_end_index")
    last = layers - 1 if end in (None, -1) else config.count("moe_layer_end_index")
    interval = config.count("moe_layer_interval", default=1)
    width = config.count("moe_intermediate_size")
    experts: Tree = {
        "kind": "moe",
        "experts": config.count("moe_num_experts", "num_experts"),
        "top_k": config.count("moe_k", "num_experts_per_tok"),
        "inter": width,
        "shared_inter": width * config.count("moe_num_shared_experts", default=2),
        "router_bias": True,
    }
    feeds = [
        "moe" if first <= i <= last and interval and (i + 1) % interval == 0 else "dense"
        for i in range(layers)
    ]
    ffn = {"dense": dense(config), "moe": experts}
    return written_form(config, Decoder({"gqa": gqa(config)}, ffn, [("gqa", f) for f in feeds], tied=True))


def mimo_v2_flash(config: Config) -> Tree:
    """MiMo V2 Flash: windowed layers (1 in `hybrid_layer_pattern`) have their own heads and a sink; keys and
    values of different width; correction bias, no shared expert."""
    config.only("attention_bias", False)
    config.only("add_full_attention_sink_bias", False)
    config.inert("attention_chunk_size", "sliding_window_size", "topk_method", "n_shared_experts")
    marks = config.numbers("hybrid_layer_pattern")
    feeds = sparse_or_dense(config, first_dense=1)
    if marks is None or len(marks) != len(feeds):
        raise config.error("hybrid_layer_pattern must have one entry per layer")
    full = gqa(config, v_head_dim=config.count("v_head_dim"))
    local: Tree = {
        "kind": "gqa",
        "heads": config.count("swa_num_attention_heads"),
        "kv_heads": config.count("swa_num_key_value_heads"),
        "head_dim": config.count("swa_head_dim"),
        "v_head_dim": config.count("swa_v_head_dim"),
        "window": config.count("sliding_window"),
        "sinks": config.flag("add_swa_attention_sink_bias", True),
    }
    ffn = {"dense": dense(config), "moe": moe(config, router_bias=True)}
    layers = [("local" if mark else "full", feed) for mark, feed in zip(marks, feeds, strict=True)]
    return written_form(config, Decoder({"full": full, "local": local}, ffn, layers))


def _leading_dense(config: Config, attention: Tree, experts: Tree, first_dense: int) -> Tree:
    feeds = sparse_or_dense(config, first_dense)
    ffn = {"moe": experts}
    if "dense" in feeds:
        ffn["dense"] = dense(config)
    config.inert("intermediate_size")
    mtp: Tree = {"layers": config.count("num_nextn_predict_layers", "num_mtp_layers", default=0)}
    return written_form(config, Decoder({"gqa": attention}, ffn, [("gqa", f) for f in feeds], mtp=mtp))


READERS = {
    "Dots1ForCausalLM": dots1,
    "Ernie4_5_MoeForCausalLM": ernie_moe,
    "Glm4MoeForCausalLM": glm4_moe,
    "GraniteMoeForCausalLM": granite_moe,
    "GraniteMoeSharedForCausalLM": granite_moe,
    "HYV3ForCausalLM": hy3,
    "Llama4ForCausalLM": llama4,
    "MiMoV2FlashForCausalLM": mimo_v2_flash,
    "MiniMaxM2ForCausalLM": minimax_m2,
    "MixtralForCausalLM": mixtral,
    "OlmoeForCausalLM": olmoe,
    "SolarOpenForCausalLM": solar_open,
}

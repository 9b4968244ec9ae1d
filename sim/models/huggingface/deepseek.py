"""Multi-head latent attention with mixtures of experts: DeepSeek and those built on it.

Where `q_lora_rank` is null the query has no latent; `num_key_value_heads` and `head_dim` mean nothing here.
"""

from sim.models.huggingface.config import Config, Tree
from sim.models.huggingface.decoder import Decoder, dense, layer_count, typed_layers, written_form
from sim.models.huggingface.mixtures import moe, sparse_or_dense


def deepseek_v2(config: Config) -> Tree:
    """DeepSeek-V2: greedy or group-limited choice, no correction bias."""
    config.only("mlp_bias", False)
    config.only("topk_method", "greedy", "group_limited_greedy")
    grouped = config.get("topk_method") == "group_limited_greedy"
    config.inert("n_group")
    return _decoder(config, mla(config), moe(config, shared="n_shared_experts", grouped=grouped), 0)


def deepseek_v3(config: Config) -> Tree:
    """DeepSeek-V3, R1 and Kimi K2: correction bias, 3 dense layers where it is not said."""
    config.only("topk_method", "noaux_tc")
    return _decoder(config, mla(config), _corrected(config), 3)


def deepseek_v32(config: Config) -> Tree:
    """DeepSeek-V3.2: V3 with a lightning indexer on every layer."""
    config.only("topk_method", "noaux_tc")
    config.only("mlp_bias", False)
    _all_indexed(config)
    return _decoder(config, mla(config) | {"indexer": indexer(config)}, _corrected(config), 3)


def glm_moe_dsa(config: Config) -> Tree:
    """GLM-5: as DeepSeek-V3.2. Layers that share another layer's indexer are not understood."""
    layers = layer_count(config)
    config.only("index_topk_freq", 1)
    config.only("index_topk_pattern", "F" * layers)
    config.only("indexer_types", ["full"] * layers)
    config.inert("index_skip_topk_offset", "index_share_for_mtp_iteration")
    return deepseek_v32(config)


def glm4_moe_lite(config: Config) -> Tree:
    """GLM-4.7 Flash: DeepSeek-V3's shapes, one dense layer."""
    config.only("topk_method", "noaux_tc")
    return _decoder(config, mla(config), _corrected(config), 1)


def axk1(config: Config) -> Tree:
    """A.X K1: one dense layer, a third norm on every layer, and no correction bias in the checkpoint."""
    config.only("topk_method", "noaux_tc")
    return _decoder(config, mla(config), moe(config, shared="n_shared_experts"), 1, norms=3)


def axk2(config: Config) -> Tree:
    """A.X K2: indexer, output gate, and a low-rank gate (16 where it is not said) on both norms of a
    mixture's layer and on the first of a dense one."""
    _all_indexed(config)
    attention = mla(config) | {"indexer": indexer(config), "output_gate": True}
    rank = config.count("gated_norm_rank", default=16)
    gates: dict[str, Tree] = {
        "moe": {"norm_gate_rank": rank},
        "dense": {"norm_gate_rank": rank, "gated_norms": 1},
    }
    return _decoder(config, attention, _corrected(config), 1, by_ffn=gates if rank else {})


def longcat(config: Config) -> Tree:
    """LongCat-Flash: each of `num_layers` is two attention and two dense blocks with a mixture beside them,
    written as a dense layer and one whose mixture has the second dense block as its shared part."""
    double = config.count("num_layers")
    config.inert(
        "num_hidden_layers", "mla_scale_q_lora", "mla_scale_kv_lora", "zero_expert_type", "attention_method"
    )
    config.only("router_bias", False)
    width = config.count("ffn_hidden_size")
    experts: Tree = {
        "kind": "moe",
        "experts": config.count("n_routed_experts"),
        "top_k": config.count("moe_topk"),
        "inter": config.count("expert_ffn_hidden_size"),
        "shared_inter": width,
        "zero_experts": config.count("zero_expert_num", default=0),
    }
    layers = [("mla", feed) for _ in range(double) for feed in ("dense", "moe")]
    ffn: dict[str, Tree] = {"dense": {"kind": "dense", "inter": width}, "moe": experts}
    return written_form(config, Decoder({"mla": mla(config)}, ffn, layers))


def mla(config: Config) -> Tree:
    """The latent attention block."""
    config.only("attention_bias", False)
    config.inert("num_key_value_heads", "head_dim", "qk_head_dim")
    rank = config.maybe("q_lora_rank")
    block: Tree = {
        "kind": "mla",
        "heads": config.count("num_attention_heads"),
        "kv_lora_rank": config.count("kv_lora_rank"),
        "qk_nope": config.count("qk_nope_head_dim"),
        "qk_rope": config.count("qk_rope_head_dim"),
        "v_head": config.count("v_head_dim"),
    }
    return block | ({"q_lora_rank": rank} if rank else {})


def indexer(config: Config) -> Tree:
    """The lightning indexer."""
    return {
        "heads": config.count("index_n_heads"),
        "head_dim": config.count("index_head_dim"),
        "top_k": config.count("index_topk"),
    }


def _corrected(config: Config) -> Tree:
    return moe(config, shared="n_shared_experts", router_bias=True)


def _all_indexed(config: Config) -> None:
    indexed = ["indexed_attention"] * layer_count(config)
    typed_layers(config, config.words("layer_types"), indexed, {"indexed_attention": "indexed"})


def _decoder(
    config: Config,
    attention: Tree,
    experts: Tree,
    first_dense: int,
    norms: int = 2,
    by_ffn: dict[str, Tree] | None = None,
) -> Tree:
    feeds = sparse_or_dense(config, first_dense)
    ffn: dict[str, Tree] = {"moe": experts}
    if "dense" in feeds:
        ffn["dense"] = dense(config)
    config.inert("intermediate_size")
    mtp: Tree = {"layers": config.count("num_nextn_predict_layers", "num_mtp_layers", default=0)}
    layers = [("mla", feed) for feed in feeds]
    return written_form(
        config, Decoder({"mla": attention}, ffn, layers, norms=norms, mtp=mtp, by_ffn=by_ffn or {})
    )


READERS = {
    "AXK1ForCausalLM": axk1,
    "AXK2ForCausalLM": axk2,
    "DeepseekV2ForCausalLM": deepseek_v2,
    "DeepseekV32ForCausalLM": deepseek_v32,
    "DeepseekV3ForCausalLM": deepseek_v3,
    "Glm4MoeLiteForCausalLM": glm4_moe_lite,
    "GlmMoeDsaForCausalLM": glm_moe_dsa,
    "KimiK2ForCausalLM": deepseek_v3,
    "LongcatFlashForCausalLM": longcat,
}

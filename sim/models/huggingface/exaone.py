"""EXAONE 4 and K-EXAONE (LG AI Research): windows on three layers of four, query and key norms per head."""

from sim.models.huggingface.config import Config, Tree
from sim.models.huggingface.decoder import Decoder, dense, layer_count, written_form
from sim.models.huggingface.llama import layer_types, mixed, window_blocks
from sim.models.huggingface.mixtures import moe, sparse_or_dense


def exaone4(config: Config) -> Tree:
    """EXAONE 4: norms after each block."""
    return mixed(config, _types(config), {"qk_norm": "head"}, dense(config))


def exaone_moe(config: Config) -> Tree:
    """K-EXAONE: one dense layer, then mixtures with a shared expert and a correction bias; its MTP module is
    a full-attention layer with a dense block."""
    types = _types(config)
    feeds = sparse_or_dense(config, first_dense=1)
    blocks = window_blocks(config, types, {"qk_norm": "head"})
    ffn = {"dense": dense(config), "moe": moe(config, shared="num_shared_experts", router_bias=True)}
    mtp: Tree = {
        "layers": config.count("num_nextn_predict_layers", default=0),
        "attention": "full",
        "ffn": "dense",
    }
    return written_form(config, Decoder(blocks, ffn, list(zip(types, feeds, strict=True)), mtp=mtp))


def _types(config: Config) -> list[str]:
    """`sliding_window_pattern` is a period or a word such as LLLG; without a window every layer is full."""
    layers = layer_count(config)
    pattern = config.get("sliding_window_pattern")
    if config.maybe("sliding_window") is None:
        return layer_types(config, ["full"] * layers)
    if isinstance(pattern, str):
        if set(pattern) - set("LG"):
            raise config.error(f"sliding_window_pattern: found {pattern!r}; letters L and G are understood")
        default = ["full" if pattern[i % len(pattern)] == "G" else "local" for i in range(layers)]
        return layer_types(config, default)
    period = config.count("sliding_window_pattern", default=4)
    return layer_types(
        config, ["full" if period and (i + 1) % period == 0 else "local" for i in range(layers)]
    )


READERS = {
    "Exaone4ForCausalLM": exaone4,
    "ExaoneMoeForCausalLM": exaone_moe,
    "ExaoneMoEForCausalLM": exaone_moe,
}

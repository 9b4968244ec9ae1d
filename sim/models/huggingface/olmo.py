"""OLMo (Ai2): norms without weights in the first generation, norms over whole queries and keys since."""

from sim.models.huggingface.config import Config, Tree
from sim.models.huggingface.decoder import Decoder, dense, every, gqa, layer_count, written_form
from sim.models.huggingface.llama import layer_types, mixed, plain


def olmo(config: Config) -> Tree:
    """OLMo 1: LayerNorms have no parameters."""
    bias = config.flag("attention_bias", False)
    blocks = {"gqa": gqa(config, qkv_bias=bias, output_bias=bias)}
    layers = [("gqa", "dense")] * layer_count(config)
    return written_form(config, Decoder(blocks, {"dense": dense(config)}, layers, norms=0, final_norm=False))


def olmo2(config: Config) -> Tree:
    """OLMo 2: norms after each block, and over all queries and keys."""
    bias = config.flag("attention_bias", False)
    return plain(config, gqa(config, qkv_bias=bias, output_bias=bias, qk_norm="full"), dense(config))


def olmo3(config: Config) -> Tree:
    """OLMo 3: as OLMo 2 with a window on three layers of four."""
    types = layer_types(config, every(layer_count(config), 4, "full", "local"))
    bias = config.flag("attention_bias", False)
    fields: Tree = {"qkv_bias": bias, "output_bias": bias, "qk_norm": "full"}
    return mixed(config, types, fields, dense(config))


READERS = {"Olmo2ForCausalLM": olmo2, "Olmo3ForCausalLM": olmo3, "OlmoForCausalLM": olmo}

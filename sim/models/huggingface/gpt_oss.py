"""gpt-oss (OpenAI): windows on every other layer, sinks, biases everywhere, all layers mixtures."""

from sim.models.huggingface.config import Config, Tree
from sim.models.huggingface.decoder import Decoder, every, layer_count, written_form
from sim.models.huggingface.llama import layer_types, window_blocks
from sim.models.huggingface.mixtures import moe


def gpt_oss(config: Config) -> Tree:
    """Biases on unless `attention_bias` is false; router and experts always have theirs."""
    bias = config.flag("attention_bias", True)
    types = layer_types(config, every(layer_count(config), 2, "full", "local"))
    blocks = window_blocks(config, types, {"qkv_bias": bias, "output_bias": bias, "sinks": True})
    experts = moe(config, "intermediate_size", router_bias=True, grouped=False) | {"bias": True}
    return written_form(config, Decoder(blocks, {"moe": experts}, [(kind, "moe") for kind in types]))


READERS = {"GptOssForCausalLM": gpt_oss}

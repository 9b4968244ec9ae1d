"""Gemma (Google): tied embeddings; from the second generation on four norms per layer and windows."""

from sim.models.huggingface.config import Config, Tree
from sim.models.huggingface.decoder import Decoder, dense, every, gqa, layer_count, written_form
from sim.models.huggingface.llama import layer_types, plain


def gemma(config: Config) -> Tree:
    """Gemma 1."""
    bias = config.flag("attention_bias", False)
    config.only("use_bidirectional_attention", False)
    return plain(config, gqa(config, qkv_bias=bias, output_bias=bias), dense(config), tied=True)


def gemma2(config: Config) -> Tree:
    """Gemma 2: a window on every other layer, beginning with the first."""
    types = layer_types(config, every(layer_count(config), 2, "full", "local"))
    config.inert("cache_implementation")
    # Published files give the window under an older name, too.
    config.only("sliding_window_size", config.count("sliding_window", default=4096))
    return _windowed(config, types, config.count("num_attention_heads"), "none", vocab=None, context=None)


def gemma3(config: Config) -> Tree:
    """Gemma 3 text: a window on five layers of six, query and key norms per head. A `text_config` leaves out
    what equals the class: 8 heads, 4 KV heads of 256, window 4,096, vocabulary 262,208, context 131,072."""
    period = config.count("sliding_window_pattern", default=6)
    types = layer_types(config, every(layer_count(config), period, "full", "local"))
    config.inert("cache_implementation")
    return _windowed(
        config, types, config.count("num_attention_heads", default=8), "head", vocab=262208, context=131072
    )


def _windowed(
    config: Config, types: list[str], heads: int, qk_norm: str, vocab: int | None, context: int | None
) -> Tree:
    config.only("attention_bias", False)
    config.only("use_bidirectional_attention", False)
    full: Tree = {
        "kind": "gqa",
        "heads": heads,
        "kv_heads": config.count("num_key_value_heads", default=4),
        "head_dim": config.count("head_dim", default=256),
        "qk_norm": qk_norm,
    }
    blocks = {"local": full | {"window": config.count("sliding_window", default=4096)}, "full": full}
    layers = [(kind, "dense") for kind in types]
    decoder = Decoder(blocks, {"dense": dense(config)}, layers, tied=True, norms=4)
    return written_form(config, decoder, vocab, context)


READERS = {"Gemma2ForCausalLM": gemma2, "Gemma3ForCausalLM": gemma3, "GemmaForCausalLM": gemma}

"""From what a family has read of its config to our written form."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sim.models.huggingface.config import Config, Tree

_LONGEST_PATTERN = 12


@dataclass(slots=True)
class Decoder:
    """Blocks by name and, layer by layer, which attention and which feed-forward block it uses.

    `tied` is the default of `tie_word_embeddings` in the family's config class. `by_ffn` holds fields of
    the layers with a given feed-forward block (norm gates). `norms` as in the written form.
    """

    attention: dict[str, Tree]
    ffn: dict[str, Tree]
    layers: Sequence[tuple[str, str]]
    tied: bool = False
    norms: int = 2
    final_norm: bool = True
    mtp: Tree = field(default_factory=dict)
    by_ffn: dict[str, Tree] = field(default_factory=dict)


def written_form(
    config: Config, decoder: Decoder, vocab: int | None = None, context: int | None = None
) -> Tree:
    """The tree of a catalogue entry without its names; `vocab` and `context` are the config class's
    defaults, None where it must be written."""
    tree: Tree = {
        "hidden": config.count("hidden_size"),
        "vocab": config.count("vocab_size", default=vocab),
        "context": config.count("max_position_embeddings", "model_max_length", default=context),
        "tied": config.flag("tie_word_embeddings", decoder.tied),
        "attention": _used(
            decoder.attention, {a for a, _ in decoder.layers} | {decoder.mtp.get("attention")}
        ),
        "ffn": _used(decoder.ffn, {f for _, f in decoder.layers} | {decoder.mtp.get("ffn")}),
        "layers": [_with_norms(run, decoder) for run in runs(decoder.layers)],
    }
    if not decoder.final_norm:
        tree["final_norm"] = False
    if decoder.mtp.get("layers"):
        tree["mtp"] = decoder.mtp
    return tree


def _used(blocks: dict[str, Tree], names: set[object]) -> dict[str, Tree]:
    return {name: block for name, block in blocks.items() if name in names}


def _with_norms(run: Tree, decoder: Decoder) -> Tree:
    if decoder.norms != 2:
        run["norms"] = decoder.norms
    return run | decoder.by_ffn.get(str(run["ffn"]), {})


def runs(layers: Sequence[tuple[str, str]]) -> list[Tree]:
    """The layers as runs of a repeated pattern, each as long as it can be (ties: the shorter pattern)."""
    out: list[Tree] = []
    start = 0
    while start < len(layers):
        period, length = 1, _stretch(layers, start, 1)
        for longer in range(2, _LONGEST_PATTERN + 1):
            reach = _stretch(layers, start, longer)
            if reach >= 2 * longer and reach > length:
                period, length = longer, reach
        pattern = layers[start : start + period]
        out.append(
            {
                "count": length,
                "attention": _one_or_all([a for a, _ in pattern]),
                "ffn": _one_or_all([f for _, f in pattern]),
            }
        )
        start += length
    return out


def _stretch(layers: Sequence[tuple[str, str]], start: int, period: int) -> int:
    """How many layers from `start` on repeat the first `period` of them."""
    end = start + period
    while end < len(layers) and layers[end] == layers[end - period]:
        end += 1
    return min(end, len(layers)) - start


def _one_or_all(names: list[str]) -> str | list[str]:
    return names[0] if len(set(names)) == 1 else names


def gqa(config: Config, **fields: object) -> Tree:
    """A grouped-query block: heads, kv_heads (all heads if absent), head_dim (hidden / heads if absent)."""
    heads = config.count("num_attention_heads")
    head_dim = config.maybe("head_dim")
    if head_dim is None:
        hidden = config.count("hidden_size")
        if not heads or hidden % heads:
            raise config.error(f"hidden_size {hidden} is no multiple of num_attention_heads {heads}")
        head_dim = hidden // heads
    block: Tree = {
        "kind": "gqa",
        "heads": heads,
        "kv_heads": config.count("num_key_value_heads", default=heads),
        "head_dim": head_dim,
    }
    return block | {k: v for k, v in fields.items() if v not in (False, None, "none")}


def dense(config: Config, *keys: str, **fields: object) -> Tree:
    """A dense feed-forward block; its width under `intermediate_size` unless other keys are named."""
    block: Tree = {"kind": "dense", "inter": config.count(*(keys or ("intermediate_size",)))}
    return block | {k: v for k, v in fields.items() if v != (k == "gated")}


def layer_count(config: Config) -> int:
    """`num_hidden_layers`, within what our form allows."""
    count = config.count("num_hidden_layers")
    if not 1 <= count <= 1000:
        raise config.error(f"num_hidden_layers: found {count}; 1 to 1000 is understood")
    return count


def typed_layers(
    config: Config, given: list[str] | None, default: list[str], allowed: dict[str, str]
) -> list[str]:
    """Block names from a list of layer types, or from the config class's own pattern where it is absent."""
    types = default if given is None else given
    if len(types) != len(default):
        raise config.error(f"a list of layer types has {len(types)} entries for {len(default)} layers")
    for word in types:
        if word not in allowed:
            raise config.error(f"layer type '{word}' is not understood (known: {', '.join(allowed)})")
    return [allowed[word] for word in types]


def every(layers: int, period: int, rare: str, common: str) -> list[str]:
    """`rare` on every layer whose number (from 1) divides by `period`, `common` on the others."""
    return [rare if period and (i + 1) % period == 0 else common for i in range(layers)]

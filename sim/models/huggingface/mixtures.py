"""What mixtures of experts have in common: the expert block, and which layers have one."""

from sim.models.huggingface.config import Config, Tree
from sim.models.huggingface.decoder import Decoder, layer_count, typed_layers, written_form

_TYPES = {"dense": "dense", "sparse": "moe"}


def moe(
    config: Config,
    inter: str = "moe_intermediate_size",
    shared: str = "",
    router_bias: bool = False,
    grouped: bool = True,
) -> Tree:
    """An expert block.

    Args:
        inter: key of one expert's width.
        shared: key of the number of shared experts, each of that width; "" where the family has none.
        router_bias: the router corrects its choice by a bias per expert.
        grouped: `n_group` and `topk_group` restrict the choice (null: they do not).
    """
    width = config.count(inter)
    block: Tree = {
        "kind": "moe",
        "experts": config.count("num_experts", "num_local_experts", "n_routed_experts"),
        "top_k": config.count("num_experts_per_tok", "num_experts_per_token", "experts_per_token"),
        "inter": width,
    }
    if shared and (count := config.count(shared, default=0)):
        block["shared_inter"] = count * width
    if grouped and (groups := config.count("n_group", "num_expert_group", default=1)) > 1:
        block |= {"groups": groups, "top_groups": config.count("topk_group")}
    config.inert("topk_group")
    return block | ({"router_bias": True} if router_bias else {})


def sparse_or_dense(config: Config, first_dense: int) -> list[str]:
    """ "dense" or "moe" for each layer: `mlp_layer_types`, else `first_k_dense_replace` (default
    `first_dense`) leading dense layers and one mixture every `moe_layer_freq` (a number or a list of 0/1)."""
    layers = layer_count(config)
    leading = config.count("first_k_dense_replace", default=first_dense)
    if isinstance(config.get("moe_layer_freq"), list):
        marks = config.numbers("moe_layer_freq") or []
        types = ["sparse" if mark else "dense" for mark in marks]
    else:
        period = config.count("moe_layer_freq", default=1)
        if period < 1:
            raise config.error(f"moe_layer_freq: found {period}; at least 1 is needed")
        types = ["sparse" if i >= leading and i % period == 0 else "dense" for i in range(layers)]
    given = config.words("mlp_layer_types")
    return typed_layers(config, types if given is None else given, ["dense"] * layers, _TYPES)


def stepped(config: Config) -> list[str]:
    """Qwen's rule: a mixture where the layer's number (from 1) divides by `decoder_sparse_step` and the layer
    is not in `mlp_only_layers`."""
    step = config.count("decoder_sparse_step", default=1)
    only_dense = set(config.numbers("mlp_only_layers") or [])
    return [
        "moe" if i not in only_dense and step and (i + 1) % step == 0 else "dense"
        for i in range(layer_count(config))
    ]


def uniform(config: Config, attention: Tree, experts: Tree, tied: bool = False) -> Tree:
    """Every layer one attention block and one mixture."""
    layers = [("gqa", "moe")] * layer_count(config)
    return written_form(config, Decoder({"gqa": attention}, {"moe": experts}, layers, tied=tied))

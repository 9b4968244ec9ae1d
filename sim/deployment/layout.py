"""Which parallel layouts a model allows: every split must come out even.

    chips = tp · pp · dp · pcp        moe_tp = tp · dp · pcp / ep
    attention heads / tp, FFN width / tp, experts / ep, expert width / (moe_tp · quantisation block)

GQA keys and values are replicated where tp exceeds the KV heads, in whole groups; dcp divides the ranks
that hold the same keys and values (all of tp for an MLA latent). The vocabulary need not divide: engines pad
it.
"""

from collections.abc import Iterator

from sim.deployment.deployment import Parallel
from sim.models.architecture import (
    Attention,
    DenseFfn,
    Gqa,
    Layer,
    Mla,
    ModelArchitecture,
    MoeFfn,
    Recurrent,
    counted,
)
from sim.models.dtypes import SCALE_BLOCK
from sim.models.kv_groups import tokens_read


def layout_problem(
    model: ModelArchitecture, parallel: Parallel, weights: str, redundant: int = 0
) -> str | None:
    """Why `parallel` cannot hold the model with this weight type, or None.

    The sentence begins with the field that is wrong and ends with what is allowed.

    Args:
        redundant: replicas of experts in every layer.
    """
    return (
        _ffn_problem(model, parallel)
        or _context_problem(model, parallel)
        or _pipeline_problem(model, parallel)
        or next(
            (
                p
                for layer, _ in counted(model.layers)
                if (p := _layer_problem(layer, parallel, weights, redundant))
            ),
            None,
        )
        or _expert_parallel_problem(model, parallel)
    )


def _context_problem(model: ModelArchitecture, parallel: Parallel) -> str | None:
    """As vLLM 0.32: caches are divided where every layer keeps every token of one kind of cache, and among
    ranks that would else hold copies (`config/model.py`, `v1/kv_cache_interface.py`)."""
    if parallel.cp == 1:
        return None
    name, size = ("dcp", parallel.dcp) if parallel.dcp > 1 else ("pcp", parallel.pcp)
    for attention in {layer.attention for layer, _ in counted(model.layers)}:
        if isinstance(attention, Recurrent) or tokens_read(attention) is not None:
            return (
                f"{name}: {size} divides caches of which every token is read, and {model.name} has layers "
                "with windows, states or sparse attention; give 1"
            )
        copies = parallel.tp if isinstance(attention, Mla) else max(1, parallel.tp // attention.kv_heads)
        if copies % parallel.dcp:
            return (
                f"dcp: {parallel.dcp} does not divide the {copies} ranks that tp {parallel.tp} leaves with "
                f"the same keys and values; {_sizes(copies)} are allowed"
            )
    return None


def _ffn_problem(model: ModelArchitecture, parallel: Parallel) -> str | None:
    """Feed-forward blocks on chips of their own."""
    if parallel.ffn is None:
        return None
    if not any(isinstance(layer.ffn, MoeFfn) for layer in model.layers):
        return f"ffn: {model.name} has no experts to keep apart; give null"
    for name in ("pp", "pcp", "ep"):
        if (size := getattr(parallel, name)) > 1:
            return f"{name}: {size} beside chips for feed-forward blocks (parallel.ffn); only 1 is allowed"
    return None


def _pipeline_problem(model: ModelArchitecture, parallel: Parallel) -> str | None:
    layers = len(model.layers)
    if parallel.pp > layers:
        return f"pp: {parallel.pp} stages for the {layers} layers of {model.name}; give at most {layers}"
    return None


def _expert_parallel_problem(model: ModelArchitecture, parallel: Parallel) -> str | None:
    if parallel.ep > 1 and not any(isinstance(layer.ffn, MoeFfn) for layer in model.layers):
        return f"ep: {parallel.ep} for {model.name}, which has no experts; only 1 is allowed"
    return None


def _layer_problem(layer: Layer, parallel: Parallel, weights: str, redundant: int) -> str | None:
    attention = _attention_problem(layer.attention, parallel.tp)
    if attention:
        return attention
    within, over = ("ffn.", "ffn.chips") if parallel.ffn else ("", "tp·dp·pcp")
    parallel = parallel.feed_forward
    if isinstance(layer.ffn, DenseFfn):
        return _uneven("tp", parallel.tp, layer.ffn.inter, f"FFN width of {layer.ffn.inter}")
    problem = _experts_problem(layer.ffn, parallel, weights, redundant, over)
    return None if problem is None else within + problem


def _attention_problem(attention: Attention, tp: int) -> str | None:
    heads = _uneven("tp", tp, attention.heads, f"{attention.heads} attention heads")
    if heads or isinstance(attention, Mla):
        return heads
    groups = attention.kv_heads if isinstance(attention, Gqa) else attention.key_heads
    if groups % tp and tp % groups:
        return (
            f"tp: {tp} neither divides the {groups} KV heads nor is a multiple of them; "
            f"{_sizes(groups)}, or multiples of {groups}, are allowed"
        )
    return None


def _experts_problem(ffn: MoeFfn, parallel: Parallel, weights: str, redundant: int, over: str) -> str | None:
    """Args: over: the chips that experts lie on, in the user's fields."""
    ranks = parallel.tp * parallel.dp * parallel.pcp
    if ranks % parallel.ep:
        return f"ep: {parallel.ep} does not divide {over} = {ranks}; {_sizes(ranks)} are allowed"
    if (ffn.experts + redundant) % parallel.ep:
        return _uneven_experts(ffn.experts, redundant, parallel.ep)
    width = f"shared expert width of {ffn.shared_inter}"
    if ffn.shared_inter and (shared := _uneven("tp", parallel.tp, ffn.shared_inter, width)):
        return shared
    block = SCALE_BLOCK.get(weights, 1)
    if parallel.moe_tp > 1 and ffn.inter % (parallel.moe_tp * block):
        blocks = f" in {weights} blocks of {block}" if block > 1 else ""
        return (
            f"ep: {parallel.ep} splits each expert over {over}/ep = {parallel.moe_tp} chips (moe_tp), "
            f"which does not divide its width {ffn.inter}{blocks}; moe_tp may be {_sizes(ffn.inter // block)}"
        )
    return None


def _uneven_experts(experts: int, redundant: int, ep: int) -> str:
    """Exchange kernels give every rank as many slots; replicas fill them up."""
    missing = -(experts + redundant) % ep
    replicas = f" and {redundant} replicas" if redundant else ""
    return (
        f"ep: {ep} does not divide the {experts} experts{replicas}; {_sizes(experts + redundant)} are "
        f"allowed, or eplb.num_redundant_experts {redundant + missing}"
    )


def _uneven(field: str, size: int, whole: int, what: str) -> str | None:
    if whole % size == 0:
        return None
    return f"{field}: {size} does not divide the {what}; {_sizes(whole)} are allowed"


def _sizes(whole: int, most: int = 12) -> str:
    sizes = divisors(whole)
    return ", ".join(map(str, sizes[:most])) + (", …" if len(sizes) > most else "")


def experts_on_a_rank(ffn: MoeFfn, parallel: Parallel, redundant: int) -> int:
    """Experts that a rank holds, replicas among them."""
    return -(-(ffn.experts + redundant) // parallel.ep)


def divisors(n: int) -> list[int]:
    """Divisors of n, ascending."""
    small = [d for d in range(1, int(n**0.5) + 1) if n % d == 0]
    return small + [n // d for d in reversed(small) if d * d != n]


def enumerate_layouts(
    model: ModelArchitecture, chips: int, weights: str = "bf16", redundant: int = 0
) -> Iterator[Parallel]:
    """Every layout of one replica on exactly `chips` chips that the model allows, in a fixed order.

    A dense model has dp = 1 (its dp ranks would be replicas) and every model pcp = dcp = 1.
    """
    moe = any(isinstance(layer.ffn, MoeFfn) for layer in model.layers)
    for tp in divisors(chips):
        for pp in divisors(chips // tp):
            dp = chips // tp // pp
            if dp > 1 and not moe:
                continue
            for ep in divisors(tp * dp) if moe else [1]:
                parallel = Parallel(tp, pp, dp, ep)
                if layout_problem(model, parallel, weights, redundant) is None:
                    yield parallel


def stage_layers(model: ModelArchitecture, pp: int) -> tuple[tuple[Layer, ...], ...]:
    """Layers of each pipeline stage, in order; the first stages get the remainder."""
    share, rest = divmod(len(model.layers), pp)
    stages: list[tuple[Layer, ...]] = []
    start = 0
    for stage in range(pp):
        end = start + share + (stage < rest)
        stages.append(model.layers[start:end])
        start = end
    return tuple(stages)

"""Parameters, bytes and FLOPs of an architecture.

total  = every weight of the decoder (multi-token-prediction modules and vision towers are not in it).
active = weights one decoded token meets: all but the experts it is not routed to; the input embedding
         counts (as published figures have it) unless `embedding=False`: it is a lookup, not a product.
KV     = Σ layers of values per token · bytes per value, every layer counted as keeping the token.
FLOPs  = 2 · (matrix elements a token multiplies) + attention over its context:
  GQA          2·heads·(head_dim + v_head_dim)·tokens read
  MLA, decode  2·heads·(2·kv_lora_rank + qk_rope)·tokens read  (kv_b absorbed into query and output)
  indexer      2·heads·head_dim·context
  recurrent    per state element 7 (delta rules: decay, read, correct, write, read out) or 5 (decay,
               write, read out), the same at any context
"""

from collections import Counter
from collections.abc import Iterator, Mapping

from sim.models.architecture import Attention, Gqa, Layer, Mla, ModelArchitecture, Recurrent
from sim.models.dtypes import bytes_per_value, weight_bytes_per_value
from sim.models.kv_groups import kv_groups, tokens_read
from sim.models.matrices import KINDS, Kind, layer_matrices, vectors

_STATE_FLOPS = {"gated_delta_net": 7, "kda": 7, "mamba2": 5, "lightning": 5}


def distinct_layers(model: ModelArchitecture) -> Iterator[tuple[Layer, int]]:
    """Each different layer of the model with how often it occurs."""
    yield from Counter(model.layers).items()


def layer_params(layer: Layer, hidden: int) -> dict[Kind, int]:
    """Parameters of one layer by kind, kinds without any left out."""
    counts: Counter[Kind] = Counter()
    for matrix in layer_matrices(layer, hidden):
        counts[matrix.kind] += matrix.params
    counts["norms"] += vectors(layer, hidden)
    return dict(counts)


def layer_active_params(layer: Layer, hidden: int) -> int:
    """Parameters of one layer that one token meets."""
    return sum(m.active for m in layer_matrices(layer, hidden)) + vectors(layer, hidden)


def params_by_kind(model: ModelArchitecture) -> dict[Kind, int]:
    """Parameters by kind, every kind named; a tied head counts once, as the embedding."""
    counts: dict[Kind, int] = dict.fromkeys(KINDS, 0)
    counts["embedding"] = model.vocab * model.hidden
    counts["head"] = 0 if model.tied else model.vocab * model.hidden
    counts["norms"] = model.hidden if model.final_norm else 0
    for layer, times in distinct_layers(model):
        for kind, count in layer_params(layer, model.hidden).items():
            counts[kind] += times * count
    return counts


def total_params(model: ModelArchitecture) -> int:
    """Every weight of the decoder."""
    return sum(params_by_kind(model).values())


def active_params(model: ModelArchitecture, embedding: bool = True) -> int:
    """Weights one token meets; without the input embedding if asked (a tied one stays, as the head)."""
    counted = model.vocab * model.hidden * (1 if model.tied or not embedding else 2)
    counted += model.hidden if model.final_norm else 0
    return counted + sum(n * layer_active_params(layer, model.hidden) for layer, n in distinct_layers(model))


def mtp_params(model: ModelArchitecture) -> int:
    """Weights of the multi-token-prediction modules beside the decoder, embedding and head shared with it:
    per module one decoder layer, a 2·hidden → hidden projection and three norms."""
    if not model.mtp_layers:
        return 0
    layer = model.layers[-1] if model.mtp_layer is None else model.mtp_layer
    block = sum(layer_params(layer, model.hidden).values())
    return model.mtp_layers * (block + 2 * model.hidden**2 + 3 * model.hidden)


def weight_bytes(model: ModelArchitecture, dtypes: str | Mapping[Kind, str]) -> float:
    """Bytes of all weights, block scales included.

    Args:
        dtypes: one type for everything, or the type of each kind (all kinds named).
    Raises:
        UserError: for an unknown type.
    """
    by_kind = params_by_kind(model)
    if isinstance(dtypes, str):
        return sum(by_kind.values()) * weight_bytes_per_value(dtypes)
    return sum(count * weight_bytes_per_value(dtypes[kind]) for kind, count in by_kind.items())


def deployed_dtypes(weights: str, rest: str = "bf16") -> dict[Kind, str]:
    """The types of `weights: fp8` in a deployment: matrices of attention, FFN and experts in that type;
    embedding, head, norms and router in `rest`."""
    kept: tuple[Kind, ...] = ("embedding", "head", "norms", "router")
    return {kind: rest if kind in kept else weights for kind in KINDS}


def kv_bytes_per_token(
    model: ModelArchitecture, kv_dtype: str = "bf16", expand_mla: bool = False, unbounded: bool = False
) -> float:
    """Bytes of keys and values (or latents) one token adds, all attention layers counted alike.

    Args:
        expand_mla: the engine caches full heads instead of the latent.
        unbounded: count only the layers whose cache grows without bound (no sliding window).
    """
    forms = ("full",) if unbounded else ("full", "window")
    values = sum(g.layers * g.values for g in kv_groups(model, expand_mla) if g.form in forms)
    return values * bytes_per_value(kv_dtype)


def indexer_bytes_per_token(model: ModelArchitecture, dtype: str = "bf16") -> float:
    """Bytes one token adds to the indexer's key cache, beside `kv_bytes_per_token`."""
    return sum(g.layers * g.values for g in kv_groups(model) if g.form == "index") * bytes_per_value(dtype)


def state_bytes_per_sequence(model: ModelArchitecture) -> int:
    """Bytes of recurrent state each running sequence holds, whatever its length."""
    return sum(g.layers * g.state_bytes for g in kv_groups(model))


def flops_by_kind(model: ModelArchitecture, context: int) -> dict[str, float]:
    """FLOPs of one decoded token by kind of weight, plus "context": what grows with the tokens it reads."""
    flops: dict[str, float] = {"head": 2.0 * model.vocab * model.hidden, "context": 0.0}
    for layer, times in distinct_layers(model):
        for matrix in layer_matrices(layer, model.hidden):
            flops[matrix.kind] = flops.get(matrix.kind, 0.0) + times * matrix.flops
        flops["context"] += times * context_flops(layer.attention, context)
    return flops


def flops_per_token(model: ModelArchitecture, context: int) -> float:
    """FLOPs of one decoded token that reads `context` tokens, its own included."""
    return sum(flops_by_kind(model, context).values())


def context_flops(attention: Attention, context: int) -> float:
    """FLOPs of scores, weighted sum and indexer of one layer for one decoded token."""
    if isinstance(attention, Recurrent):
        state = attention.heads * attention.key_dim * attention.value_dim
        return float(_STATE_FLOPS[attention.form] * state)
    bound = tokens_read(attention)
    read = context if bound is None else min(context, bound)
    if isinstance(attention, Gqa):
        return 2.0 * attention.heads * (attention.head_dim + attention.v_head_dim) * read
    return 2.0 * attention.heads * (2 * attention.kv_lora_rank + attention.qk_rope) * read + _index_flops(
        attention, context
    )


def _index_flops(attention: Mla, context: int) -> float:
    if attention.indexer is None:
        return 0.0
    return 2.0 * attention.indexer.heads * attention.indexer.head_dim * context

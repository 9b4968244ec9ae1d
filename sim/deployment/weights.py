"""Weight bytes on one chip of a pipeline stage, by kind.

    column, row split   1/tp of the matrix
    kv split            max(1, kv_heads/tp) heads' share
    replicated          whole (q_a, kv_a, indexer, router, norms)
    experts             slots of a rank (experts and replicas / ep) of all experts, 1/moe_tp of each
    embedding, head     1/tp of the vocabulary, rounded up; embedding on the first stage, head on the last

Attention-dp ranks each hold a full set of everything but experts.
"""

from collections.abc import Iterable

from sim.deployment.deployment import Parallel, Precision
from sim.deployment.layout import experts_on_a_rank
from sim.models.architecture import Gqa, Layer, ModelArchitecture, MoeFfn, counted
from sim.models.dtypes import weight_bytes_per_value
from sim.models.matrices import KINDS, Kind, Matrix, layer_matrices, vectors


def stage_weights(
    model: ModelArchitecture,
    layers: Iterable[Layer],
    first: bool,
    last: bool,
    parallel: Parallel,
    precision: Precision,
    redundant: int = 0,
) -> dict[Kind, float]:
    """Bytes of weights on one chip of a stage that holds `layers`, kinds it lacks left out.

    Args:
        first, last: whether the stage holds the embedding, and the final norm and head.
        redundant: replicas of experts in every layer.
    """
    params: dict[Kind, float] = dict.fromkeys(KINDS, 0.0)
    for layer, count in counted(layers):
        params["norms"] += count * vectors(layer, model.hidden)
        for matrix in layer_matrices(layer, model.hidden):
            params[matrix.kind] += count * _share(matrix, layer, parallel, redundant)
    rows = -(-model.vocab // parallel.tp)
    if first:
        params["embedding"] += rows * model.hidden
    if last and not (model.tied and first):
        params["head"] += rows * model.hidden
    if last and model.final_norm:
        params["norms"] += model.hidden
    return {k: params[k] * weight_bytes_per_value(precision.stored(k)) for k in KINDS if params[k]}


def _share(matrix: Matrix, layer: Layer, parallel: Parallel, redundant: int) -> float:
    """Parameters of this matrix on one chip."""
    if matrix.kind == "experts" and isinstance(layer.ffn, MoeFfn):
        held = experts_on_a_rank(layer.ffn, parallel, redundant) / layer.ffn.experts
        return matrix.params * held / parallel.moe_tp
    if matrix.split == "replicated":
        return matrix.params
    if matrix.split == "kv" and isinstance(layer.attention, Gqa):
        return matrix.params * max(1 / layer.attention.kv_heads, 1 / parallel.tp)
    return matrix.params / parallel.tp

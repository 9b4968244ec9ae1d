"""Weight bytes on one chip of a pipeline stage, by kind.

    column, row split   1/tp of the matrix
    kv split            max(1, kv_heads/tp) heads' share
    replicated          whole (q_a, kv_a, indexer, router, norms)
    experts             1/(ep · moe_tp)
    embedding, head     1/tp of the vocabulary, rounded up; embedding on the first stage, head on the last

Attention-dp ranks each hold a full set of everything but experts.
"""

from collections.abc import Iterable

from sim.deployment.deployment import Parallel, Precision
from sim.models.architecture import Gqa, Layer, ModelArchitecture, counted
from sim.models.dtypes import weight_bytes_per_value
from sim.models.matrices import KINDS, Kind, Matrix, layer_matrices, vectors


def stage_weights(
    model: ModelArchitecture,
    layers: Iterable[Layer],
    first: bool,
    last: bool,
    parallel: Parallel,
    precision: Precision,
) -> dict[Kind, float]:
    """Bytes of weights on one chip of a stage that holds `layers`, kinds it lacks left out.

    Args:
        first, last: whether the stage holds the embedding, and the final norm and head.
    """
    params: dict[Kind, float] = dict.fromkeys(KINDS, 0.0)
    for layer, count in counted(layers):
        params["norms"] += count * vectors(layer, model.hidden)
        for matrix in layer_matrices(layer, model.hidden):
            params[matrix.kind] += count * _share(matrix, layer, parallel)
    rows = -(-model.vocab // parallel.tp)
    if first:
        params["embedding"] += rows * model.hidden
    if last and not (model.tied and first):
        params["head"] += rows * model.hidden
    if last and model.final_norm:
        params["norms"] += model.hidden
    return {k: params[k] * weight_bytes_per_value(precision.stored(k)) for k in KINDS if params[k]}


def _share(matrix: Matrix, layer: Layer, parallel: Parallel) -> float:
    """Parameters of this matrix on one chip."""
    if matrix.kind == "experts":
        return matrix.params / (parallel.ep * parallel.moe_tp)
    if matrix.split == "replicated":
        return matrix.params
    if matrix.split == "kv" and isinstance(layer.attention, Gqa):
        return matrix.params * max(1 / layer.attention.kv_heads, 1 / parallel.tp)
    return matrix.params / parallel.tp

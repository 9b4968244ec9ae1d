"""From a layer's weight matrices to the products one chip computes.

Column-parallel matrices keep outputs / tp, row-parallel ones inputs / tp, KV projections at least one KV
head, replicated ones everything. Matrices that read the same vector are one fused product.
"""

from collections.abc import Iterable, Sequence

from sim.deployment.deployment import Precision
from sim.deployment.precision import arithmetic_type
from sim.models.dtypes import bytes_per_value
from sim.models.matrices import Matrix
from sim.operators.operators import Elementwise, Gemm
from sim.operators.quantities import ACTIVATION_BYTES, Array

_QUANTISED = ("fp8", "int8", "fp4")
"""Activation types that a kernel of its own produces from bf16."""


def rank_outputs(matrix: Matrix, tp: int, kv_heads: int = 1) -> int:
    """Columns of a matrix on one of `tp` ranks."""
    if matrix.split == "column":
        return -(-matrix.outputs // tp)
    if matrix.split == "kv":
        return -(-matrix.outputs // min(tp, kv_heads))
    return matrix.outputs


def rank_inputs(matrix: Matrix, tp: int) -> int:
    """Rows of a matrix on one of `tp` ranks."""
    return -(-matrix.inputs // tp) if matrix.split == "row" else matrix.inputs


def fused(matrices: Iterable[Matrix]) -> list[list[Matrix]]:
    """Matrices grouped by the vector they read, in order; a row-parallel one reads its own."""
    groups: dict[tuple[int, bool], list[Matrix]] = {}
    for m in matrices:
        groups.setdefault((m.inputs, m.split == "row"), []).append(m)
    return list(groups.values())


def product(
    name: str,
    group: str,
    count: int,
    rows: Array,
    inner: int,
    columns: int,
    weights: str,
    precision: Precision,
) -> tuple[Gemm | Elementwise, ...]:
    """A product of activations with weights stored as `weights`, after the quantiser it needs."""
    arithmetic = arithmetic_type(weights, precision.activations)
    gemm = Gemm(name, group, count, rows, inner, columns, weights, arithmetic, arithmetic)
    if arithmetic not in _QUANTISED:
        return (gemm,)
    return (quantiser(gemm), gemm)


def quantiser(before: Gemm) -> Elementwise:
    """bf16 activations read, narrower ones written for a product; 2 operations per value."""
    width, inner = ACTIVATION_BYTES + bytes_per_value(before.arithmetic), before.inner
    return Elementwise(
        f"{before.name}_quantise",
        before.group,
        before.count,
        before.batch * before.rows,
        width * inner,
        2.0 * inner,
        before.arithmetic,
        before,
    )


def fused_product(
    matrices: Sequence[Matrix],
    group: str,
    count: int,
    rows: Array,
    tp: int,
    kv_heads: int,
    weights: str,
    precision: Precision,
) -> tuple[Gemm | Elementwise, ...]:
    """One product for matrices that read the same vector."""
    name = "+".join(m.name for m in matrices)
    columns = sum(m.copies * rank_outputs(m, tp, kv_heads) for m in matrices)
    return product(name, group, count, rows, rank_inputs(matrices[0], tp), columns, weights, precision)

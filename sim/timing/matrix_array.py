"""A matrix engine as a rigid array of multipliers: what it multiplies of a tile that does not fill it.

A product of r rows, c columns and depth d on an array of m rows, n columns and depth k takes the time of
  R · ⌈c/n⌉·n · ⌈d/k⌉·k   multiplications,  R = max(⌈r/m⌉·m, λ·k),
and a tile besides φ·(n + k)/f to fill and drain the array. Weights (n × k of them) stand still while rows
stream through, one a cycle; the next ones are shifted in behind them, in λ cycles for each of the k rows of
weights, so that a pass takes λ·k cycles however few rows there are. λ = 1 shifts one row a cycle (TPU v1: 256
cycles, the second set of weights hides them; Jouppi et al., ISCA 2017), λ = 1/2 is Trainium's (NKI reference
of nc_matmul: max(min(64, stationary), moving) cycles on 128 × 128), λ = 0 an array whose outputs stand still.
φ = 1 is an array that stops between tiles: a fold of SCALE-Sim takes 2k + n + r − 2 cycles (Samajdar et al.,
arXiv 1811.02883), a second set of weights hides k of them behind r or r behind them, and the passes of a tile
follow one another, so that k + n remain for each tile; φ = 0 starts the next tile while one drains.

Engines fed by instructions (mma.sync, wgmma, tcgen05.mma, MFMA, a cube of 16 × 16 × 16) are no such array:
the tiles that a kernel is built of are multiples of the instruction, whose columns and rows come in steps of
8 and can be swapped.
"""

from dataclasses import dataclass

import numpy as np

from sim.hardware.chip import Chip
from sim.operators.quantities import Array


@dataclass(frozen=True, slots=True)
class MatrixArray:
    """`rows` m are taken at once, `columns` n by `depth` k of weights stand in it; a pass takes as long as
    `least_rows` at least, λ·k or m; `fill`: s of a tile that filling and draining are not hidden in."""

    rows: int
    columns: int
    depth: int
    least_rows: float
    fill: float

    def multiplied(self, rows: Array, columns: Array, depth: Array) -> Array:
        """Multiplications whose time a product takes, padding included; as many as it has where it fills the
        array."""
        taken = np.maximum(_up(rows, self.rows), self.least_rows)
        return taken * _up(columns, self.columns) * _up(depth, self.depth)

    def of_heads(self, qk_dim: int, v_dim: int) -> float:
        """What scores and values take over what they have where queries and keys come in whole tiles: scores
        are summed over `qk_dim`, `v_dim` are the columns of values."""
        taken = -(-qk_dim // self.depth) * self.depth + -(-v_dim // self.columns) * self.columns
        return taken / (qk_dim + v_dim)


def matrix_array(chip: Chip, clock: float) -> MatrixArray | None:
    """The array of a chip whose family has one, at a share of its clock."""
    kernels = chip.kernels.array
    if kernels is None:
        return None
    rows, columns, depth = chip.compute.matrix_shape
    fill = kernels.fill * (columns + depth) / (chip.compute.clock * clock)
    return MatrixArray(rows, columns, depth, max(float(rows), kernels.load * depth), fill)


def _up(size: Array, side: int) -> Array:
    return np.ceil(size / side) * side

"""The tiles a product may be computed in: a menu that is searched, or what a library takes by its rules."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import inf

import numpy as np

from sim.hardware.tiling import TakenTile
from sim.operators.quantities import Array

ROW_TILES = (16, 32, 64, 96, 128, 192, 256)
"""Row tiles. Those that are no multiple of 64 exist because operands can be swapped (the matrix instruction's
other side is finer), and are tried up to `SMALL_ROWS` rows only."""
COLUMN_TILES = (64, 96, 128, 192, 256)
LARGE_TILES = (512, 1024)
"""Sides of tiles that only a large scratchpad holds; never split."""
SPLITS = (1, 2, 4, 8)
SMALL_ROWS = 512
DEPTH = 64
"""Depth of one step of the inner loop: K is padded to it."""


@dataclass(frozen=True, slots=True)
class Menu:
    """Tiles as columns: rows, columns, split; rows and columns of a cluster; for products of `least` rows to
    `most`."""

    rows: Array
    columns: Array
    splits: Array
    cluster_rows: Array
    cluster_columns: Array
    least: Array
    most: Array


@lru_cache(maxsize=64)
def searched_tiles(scratchpad: float, splits: bool, largest: float) -> Menu:
    """Every combination of row tile, column tile and, if asked for, split that a core's memory holds.

    `largest` bounds a tile's sides; from a whole `ROW_TILES` on, memory is the only bound.
    """
    small = [(m, n) for m in ROW_TILES for n in COLUMN_TILES if max(m, n) <= largest]
    grid = [(m, n, s) for s in (SPLITS if splits else (1,)) for m, n in small]
    if largest >= ROW_TILES[-1]:
        sides = [(m, n) for m in (*ROW_TILES, *LARGE_TILES) for n in (*COLUMN_TILES, *LARGE_TILES)]
        grid += [(m, n, 1) for m, n in sides if max(m, n) > ROW_TILES[-1] and tile_bytes(m, n) <= scratchpad]
    m, n, s = (np.array(column, np.float64) for column in zip(*grid, strict=True))
    one = np.ones_like(m)
    return Menu(m, n, s, one, one, one, np.where(m % 64 > 0, float(SMALL_ROWS), inf))


def ruled_tiles(taken: Sequence[TakenTile]) -> Menu:
    """The tiles that a library takes for each number of rows; never split."""
    columns = [(*tile, 1, *t.rule.cluster, t.least, t.most) for t in taken for tile in t.rule.tiles]
    return Menu(*(np.array(column, np.float64) for column in zip(*columns, strict=True)))


def tile_bytes(rows: int, columns: int) -> int:
    """Bytes a tile occupies: fp32 accumulators and two slices of 16-bit operands."""
    return 4 * rows * columns + 2 * DEPTH * 2 * (rows + columns)

"""Which tiles a library takes for a product of a shape, as its source states it.

A tuned library tries all its kernels and keeps the fastest; others choose by the product's shape. Such a
choice is a list of rules, of which the first that fits counts. The tiles of a cluster run at the same time on
neighbouring cores, so that a product has whole clusters of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import ClassVar

from pydantic import ConfigDict

FEW_ROWS = (1, 2, 4, 8, 16, 32, 64)
"""Rows at which a tile that is not full is told from a fuller one: only rows that are there are fed."""


@dataclass(frozen=True, slots=True)
class TileRule:
    """The fastest of some tiles (rows, columns), in clusters of (rows, columns) tiles, for products of
    `from_rows` to `rows` rows, up to `columns` columns and an inner dimension of at least `from_inner`."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    tiles: tuple[tuple[int, int], ...]
    cluster: tuple[int, int] = (1, 1)
    rows: float = inf
    columns: float = inf
    from_rows: float = 1.0
    from_inner: float = 0.0

    def __post_init__(self) -> None:
        if not self.tiles or min(min(sides) for sides in (*self.tiles, self.cluster)) < 1:
            raise ValueError("a rule has tiles, and tiles and clusters have rows and columns from 1 on")

    def fits(self, rows: float, columns: int, inner: int) -> bool:
        """Whether the rule is for a product of this shape."""
        wide = columns <= self.columns and inner >= self.from_inner
        return wide and self.from_rows <= rows <= self.rows


@dataclass(frozen=True, slots=True)
class TakenTile:
    """The rule that counts for products of `least` to `most` rows."""

    rule: TileRule
    least: float
    most: float


def tiles_taken(rules: Sequence[TileRule], columns: int, inner: int) -> tuple[TakenTile, ...]:
    """The rule that counts for each number of rows, for products with these columns and inner dimension."""
    starts = sorted(
        {1.0, *(n + 1.0 for n in FEW_ROWS), *(r.from_rows for r in rules)}
        | {r.rows + 1.0 for r in rules if r.rows < inf}
    )
    ends = [*(start - 1.0 for start in starts[1:]), inf]
    found = [
        (next((r for r in rules if r.fits(least, columns, inner)), None), least, most)
        for least, most in zip(starts, ends, strict=True)
    ]
    return tuple(TakenTile(rule, least, most) for rule, least, most in found if rule is not None)

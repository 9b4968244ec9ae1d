"""Prefill chunks as the sums their attention depends on.

A chunk of `new` tokens after `past` ones sees, at its i-th token (from 0), min(past + i + 1, w) tokens.
  pairs = Σ_i min(past + i + 1, w)                exact: what FLOPs and the roofline count
Kernels work in tiles of 128 queries × 128 keys; a chunk shorter than a tile takes rows of 16, since the rows
of several heads then share a tile:
  tiles = Σ_rows of tiles min(past tiles + i + 1, w tiles + 1), a short chunk's only row counting by its part
"""

from collections.abc import Sequence
from dataclasses import dataclass

TILE = 128
"""Query rows and key columns of one attention tile (FlashAttention-2 and -3 at head size 128)."""
ROWS = 16
"""Rows of the smallest matrix instruction: a short chunk is padded to them."""


@dataclass(frozen=True, slots=True)
class ChunkWork:
    """Sums over the chunks of one step under one window.

    Attributes:
        chunks: how many; new: Σ new tokens; seen: Σ tokens whose keys are read; pairs: Σ query-key pairs.
        rows, seen_rows: `new` and `seen` as kernels pad them; tiles: full tiles of pairs computed;
        longest: tiles one row of tiles has at most.
    """

    chunks: int
    new: int
    seen: int
    pairs: int
    rows: int
    seen_rows: int
    tiles: float
    longest: int

    def times(self, copies: int) -> "ChunkWork":
        """The sums of `copies` such sets of chunks."""
        return ChunkWork(
            copies * self.chunks,
            copies * self.new,
            copies * self.seen,
            copies * self.pairs,
            copies * self.rows,
            copies * self.seen_rows,
            copies * self.tiles,
            self.longest,
        )

    def shared(self, ranks: int) -> "ChunkWork":
        """The part of each of `ranks` that share the new tokens, all of whose keys each of them reads.

        A rank takes an early and an equally late piece of every chunk, so that all have as many pairs.
        """
        if ranks == 1:
            return self
        return ChunkWork(
            self.chunks,
            -(-self.new // ranks),
            self.seen,
            -(-self.pairs // ranks),
            -(-self.rows // ranks),
            self.seen_rows,
            self.tiles / ranks,
            self.longest,
        )


def padded_rows(new: int) -> int:
    """Rows kernels compute for a chunk: whole tiles, or whole `ROWS` for less than one tile."""
    unit = TILE if new >= TILE else ROWS
    return -(-new // unit) * unit


def chunk_work(chunks: Sequence[tuple[int, int]], window: int | None = None) -> ChunkWork:
    """The sums of the chunks (new, past); `window` bounds what a query sees, None for all."""
    new = seen = pairs = rows = seen_rows = longest = 0
    tiles = 0.0
    reach = None if window is None else -(-window // TILE) + 1
    for fresh, past in chunks:
        visible = past if window is None else min(past, window)
        padded, before = padded_rows(fresh), -(-past // TILE)
        tall = -(-padded // TILE)
        new += fresh
        seen += fresh + visible
        pairs += causal_pairs(fresh, past, window)
        rows += padded
        seen_rows += padded + -(-visible // TILE) * TILE
        tiles += causal_pairs(tall, before, reach) * (padded / (tall * TILE))
        longest = max(longest, before + tall if reach is None else min(before + tall, reach))
    return ChunkWork(len(chunks), new, seen, pairs, rows, seen_rows, tiles, longest)


def causal_pairs(new: int, past: int, window: int | None) -> int:
    """Σ_{i<new} min(past + i + 1, window)."""
    if window is None:
        return new * past + new * (new + 1) // 2
    growing = min(max(window - past, 0), new)
    return growing * past + growing * (growing + 1) // 2 + (new - growing) * window

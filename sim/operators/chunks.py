"""Prefill chunks as the sums their attention depends on.

A chunk of `new` tokens after `past` ones sees, at its i-th token (from 0), min(past + i + 1, w) tokens.
  pairs = Σ_i min(past + i + 1, w)                       exact; FLOPs and the roofline use it
  tiles = the same sum over tiles of 128 queries × 128 keys, a window reaching one tile further
"""

from collections.abc import Sequence
from dataclasses import dataclass

TILE = 128
"""Query rows and key columns of one attention tile (FlashAttention-2 and -3 at head size 128)."""


@dataclass(frozen=True, slots=True)
class ChunkWork:
    """Sums over the chunks of one step under one window.

    Attributes:
        chunks: how many; new: Σ new tokens; seen: Σ tokens whose keys are read; pairs: Σ query-key pairs.
        query_tiles, seen_tiles, tiles: the same in tiles; longest: tiles of the longest row.
    """

    chunks: int
    new: int
    seen: int
    pairs: int
    query_tiles: int
    seen_tiles: int
    tiles: int
    longest: int


def chunk_work(chunks: Sequence[tuple[int, int]], window: int | None = None) -> ChunkWork:
    """The sums of the chunks (new, past); `window` bounds what a query sees, None for all."""
    new = seen = pairs = query_tiles = seen_tiles = tiles = longest = 0
    reach = None if window is None else -(-window // TILE) + 1
    for fresh, past in chunks:
        rows, before = -(-fresh // TILE), -(-past // TILE)
        visible = past if window is None else min(past, window)
        new += fresh
        seen += fresh + visible
        pairs += causal_pairs(fresh, past, window)
        query_tiles += rows
        seen_tiles += rows + -(-visible // TILE)
        tiles += causal_pairs(rows, before, reach)
        longest = max(longest, before + rows if reach is None else min(before + rows, reach))
    return ChunkWork(len(chunks), new, seen, pairs, query_tiles, seen_tiles, tiles, longest)


def causal_pairs(new: int, past: int, window: int | None) -> int:
    """Σ_{i<new} min(past + i + 1, window)."""
    if window is None:
        return new * past + new * (new + 1) // 2
    growing = min(max(window - past, 0), new)
    return growing * past + growing * (growing + 1) // 2 + (new - growing) * window

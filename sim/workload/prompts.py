"""What prompts consist of: pieces (segment, length) that are equal where the content is equal.

Token i of a piece has the identity (segment, i). Three ways to share: blocks named by a trace's hashes,
earlier requests of a conversation, system prompts in front.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import cast

import numpy as np
from numpy.typing import NDArray

from sim.workload.requests import Pieces


def prompts_of_blocks(
    blocks: Sequence[Sequence[int]], block_tokens: int, prompt_tokens: NDArray[np.int64]
) -> tuple[tuple[Pieces, ...], NDArray[np.int64]]:
    """Prompts whose k-th `block_tokens` tokens are the k-th block, the last one partial.

    Returns:
        pieces of each prompt, and a segment of its own for each answer.
    """
    pieces = tuple(
        (*((block, block_tokens) for block in ids[:-1]), (ids[-1], tokens - block_tokens * (len(ids) - 1)))
        for ids, tokens in zip(blocks, prompt_tokens.tolist(), strict=True)
    )
    first = 1 + max(max(ids) for ids in blocks)
    return pieces, np.arange(first, first + len(pieces))


def prompts_of_parents(
    parent: NDArray[np.int64],
    prompt_tokens: NDArray[np.int64],
    output_tokens: NDArray[np.int64],
    group: NDArray[np.int64] | None = None,
    group_tokens: NDArray[np.int64] | None = None,
) -> tuple[tuple[Pieces, ...], NDArray[np.int64]]:
    """Prompts that begin with the prompt and answer of an earlier request, as far as they are long enough.

    Args:
        parent: place of the earlier request, -1 for none; always before the request itself.
        group, group_tokens: the system prompt that a request without a parent begins with, and the length of
            each; prompts without any if left out.
    Returns:
        pieces of each prompt, and the segment of each answer.
    """
    system = _plain(group_tokens)
    groups = _plain(group) or [-1] * len(parent)
    own = len(system)
    answer = own + len(parent)
    outputs = _plain(output_tokens)
    pieces: list[Pieces] = []
    for i, (before, tokens) in enumerate(zip(_plain(parent), _plain(prompt_tokens), strict=True)):
        history: Pieces = ()
        if before >= 0:
            history = (*pieces[before], (answer + before, outputs[before]))
        elif groups[i] >= 0:
            history = ((groups[i], system[groups[i]]),)
        shared = _leading(history, tokens)
        rest = tokens - sum(length for _, length in shared)
        pieces.append((*shared, (own + i, rest)) if rest else shared)
    return tuple(pieces), np.arange(answer, answer + len(parent))


def prompts_with_prefix(
    group: NDArray[np.int64], group_tokens: NDArray[np.int64], own_tokens: NDArray[np.int64]
) -> tuple[tuple[Pieces, ...], NDArray[np.int64]]:
    """Prompts of a shared prefix (group -1: none) followed by text of their own.

    Returns:
        pieces of each prompt, and a segment of its own for each answer.
    """
    groups, count = len(group_tokens), len(group)
    length = group_tokens.tolist()
    pieces = tuple(
        ((g, length[g]), (own, tokens)) if g >= 0 else ((own, tokens),)
        for own, (g, tokens) in enumerate(zip(group.tolist(), own_tokens.tolist(), strict=True), start=groups)
    )
    return pieces, np.arange(groups + count, groups + 2 * count)


def renumbered(parent: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Parents as places in the kept rows, -1 where the parent is not kept before the row."""
    place = np.full(len(parent), -1, np.int64)
    place[rows] = np.arange(len(rows))
    kept = parent[rows]
    moved = np.where(kept >= 0, place[kept], -1)
    return np.where(moved < np.arange(len(rows)), moved, -1)


def _plain(column: NDArray[np.int64] | None) -> list[int]:
    return [] if column is None else cast("list[int]", column.tolist())


def _leading(pieces: Pieces, tokens: int) -> Pieces:
    """The first `tokens` tokens of the pieces, or all of them."""
    ends = list(accumulate(length for _, length in pieces))
    if not ends or ends[-1] <= tokens:
        return pieces
    cut = next(i for i, end in enumerate(ends) if end > tokens)
    left = tokens - (ends[cut - 1] if cut else 0)
    return (*pieces[:cut], (pieces[cut][0], left)) if left else pieces[:cut]

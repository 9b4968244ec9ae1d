"""A step's batch cut in two micro-batches of nearly the same work."""

from sim.operators import BatchShape


def halved(batch: BatchShape) -> tuple[BatchShape, BatchShape] | None:
    """Half of the decodes, and of every prefill chunk, in each; None where one half would be empty.

    The second half of a chunk comes after the first, whose keys it reads.
    """
    first = batch.decodes - batch.decodes // 2
    share = first / batch.decodes if batch.decodes else 0.0
    context = round(batch.context * share)
    windowed = tuple(round(w * share) for w in batch.windowed)
    one, other = list[tuple[int, int]](), list[tuple[int, int]]()
    for new, past in batch.chunks:
        ahead = new - new // 2
        one.append((ahead, past))
        if new > 1:
            other.append((new - ahead, past + ahead))
    rest = tuple(all_of - part for all_of, part in zip(batch.windowed, windowed, strict=True))
    halves = (
        BatchShape(first, context, windowed, tuple(one), batch.queries),
        BatchShape(batch.decodes - first, batch.context - context, rest, tuple(other), batch.queries),
    )
    return halves if all(half.tokens > 0 for half in halves) else None

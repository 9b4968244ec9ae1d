"""What one rank computes in a row of steps: the batch that a row's sums stand for."""

from dataclasses import dataclass

from sim.operators.batch import BatchShape
from sim.serving.records import StepSegments


@dataclass(frozen=True, slots=True)
class RowBatches:
    """How the sums of a row become the batch of one rank.

    Attributes:
        windows: the timer's windows; a row keeps Σ context only, so Σ min(context, w) is taken as
            min(Σ context, decodes · w), which is exact when all contexts lie on one side of w.
        ranks: attention-dp ranks that step together; a row holds the sums over them, a rank's batch is taken
            as an equal part of it.
        queries: tokens that a decode computes in a step.
    """

    windows: tuple[int, ...] = ()
    ranks: int = 1
    queries: int = 1

    def decodes(self, decodes: int, context: int) -> BatchShape:
        """One rank's part of so many decodes that read so much context together."""
        mine, read = -(-decodes // self.ranks), -(-context // self.ranks)
        windowed = tuple(min(read, mine * window) for window in self.windows)
        return BatchShape(mine, read, windowed, queries=self.queries)

    def of_row(self, rows: StepSegments, row: int, *, chunks: bool = True) -> BatchShape:
        """One rank's batch in the middle of a row of steps; its chunks are taken as equal, and left out if
        they are not wanted."""
        context = int(rows.context[row]) + int(rows.decodes[row]) * ((int(rows.steps[row]) - 1) // 2)
        batch = self.decodes(int(rows.decodes[row]), context)
        if not chunks:
            return batch
        summed = rows.chunks[row], rows.chunk_tokens[row], rows.chunk_past[row]
        count, tokens, past = (-(-int(part) // self.ranks) for part in summed)
        shares = tuple((_part(tokens, count, i), _part(past, count, i)) for i in range(min(count, tokens)))
        return BatchShape(batch.decodes, batch.context, batch.windowed, shares, self.queries)


def _part(whole: int, parts: int, index: int) -> int:
    """The index-th of `parts` nearly equal integers that sum to `whole`."""
    return whole * (index + 1) // parts - whole * index // parts

"""What one engine step computes, as the few numbers its price depends on."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BatchShape:
    """A mixed prefill and decode batch of one scheduler.

    Attributes:
        decodes: sequences that decode.
        context: Σ over the decodes of KV tokens read, this step's own tokens included.
        windowed: for each window w of `ModelShapes.windows`, Σ over the decodes of min(context, w).
        chunks: prefill chunks as (new tokens, tokens already computed).
        queries: tokens that each decode computes: 1, or more where the deployment verifies drafts.
    """

    decodes: int = 0
    context: int = 0
    windowed: tuple[int, ...] = ()
    chunks: tuple[tuple[int, int], ...] = ()
    queries: int = 1

    @property
    def tokens(self) -> int:
        """Tokens the step computes."""
        return self.queries * self.decodes + sum(new for new, _ in self.chunks)

    def own_tokens(self, pcp: int) -> int:
        """Tokens that each of `pcp` prefill context parallel ranks computes: every decode's, its part of the
        chunks'."""
        return self.queries * self.decodes + -(-sum(new for new, _ in self.chunks) // pcp)

    @property
    def sequences(self) -> int:
        """Sequences in the step; each has one row of logits."""
        return self.decodes + len(self.chunks)

"""One step of a speculating engine: what verifies the drafts, and the passes that draft the next ones.

    step = model on all tokens (1 + k per decode) + drafter on the same tokens
           + (k - 1) · drafter on one token per decode

The drafter's first pass runs over every token of the step, prompts included, since it has to keep its own KV
cache; each further pass runs over the token that the pass before it drafted. Every position that is verified
and every draft has logits. A prediction module joins the embedding of a token and the model's last hidden
state by a projection of 2·hidden to hidden. As in vLLM (`v1/spec_decode/eagle.py`).

Of a mixed step the (k - 1) further passes count tokens / (1 + k) in their experts, and its prompts' rows of
logits count like decodes': both on the high side, of one layer.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from sim.deployment.deployment import Deployment
from sim.operators.lowering import Lowering
from sim.operators.operators import Operator
from sim.operators.products import product
from sim.operators.quantities import Array

GROUP = "draft"


class SpeculativeLowering(Lowering):
    """The operators of steps that verify drafts and draft anew; the parts are those of `Lowering`."""

    def __init__(self, deployment: Deployment) -> None:
        drafting, speculation = deployment.drafting, deployment.speculation
        assert drafting is not None
        assert speculation is not None
        super().__init__(deployment, speculation.queries)
        self._joins = speculation.shares_weights
        self._drafts = len(speculation.acceptance)
        self._model = Lowering(deployment, speculation.queries)
        self._first = Lowering(drafting, speculation.queries)
        self._next = Lowering(drafting)
        self.windows = tuple(sorted({*self.windows, *self._next.windows}))

    @property
    def has_experts(self) -> bool:
        """Whether `shared` has any operators."""
        return super().has_experts or self._next.has_experts

    def tokens(self, rows: Array) -> list[Operator]:
        """Of the model and of the first drafting pass."""
        return super().tokens(rows) + _drafts(self._pass(self._first, rows))

    def rows(self, rows: Array) -> list[Operator]:
        """Logits of every verified position, and of every draft."""
        return super().rows(self.queries * rows) + _drafts(self._next.rows(rows), self._drafts)

    def per_decode(self, sequences: Array) -> list[Operator]:
        """What decodes compute whatever their context, further passes included."""
        later = self._pass(self._next, sequences) + self._next.per_decode(sequences)
        return [
            *super().per_decode(sequences),
            *_drafts(self._first.per_decode(sequences)),
            *_drafts(later, self._drafts - 1),
        ]

    def decodes(self, sequences: Array, sums: Sequence[Array]) -> list[list[Operator]]:
        """Attention of model and drafter, one list for each of the sums it depends on."""
        by_sum = [list[Operator]() for _ in sums]
        for lowering in (self._model, self._first, self._next):
            places = [0, *(1 + self.windows.index(w) for w in lowering.windows)]
            for place, part in zip(
                places, lowering.decodes(sequences, [sums[p] for p in places]), strict=True
            ):
                if lowering is self._model:
                    by_sum[place] += part
                else:
                    by_sum[place] += _drafts(part, 1 if lowering is self._first else self._drafts - 1)
        return by_sum

    def chunks(self, chunks: Sequence[tuple[int, int]]) -> list[Operator]:
        """Attention of prefill chunks in the model and in the first drafting pass."""
        return super().chunks(chunks) + _drafts(self._first.chunks(chunks))

    def shared(self, tokens: tuple[int, ...], epoch: int = 0) -> list[Operator]:
        """Experts of the model and of every drafting pass."""
        fewer = tuple(-(-n // self.queries) for n in tokens)
        return [
            *super().shared(tokens, epoch),
            *_drafts(self._first.shared(tokens, epoch)),
            *_drafts(self._next.shared(fewer, epoch), self._drafts - 1),
        ]

    def _pass(self, lowering: Lowering, rows: Array) -> list[Operator]:
        """What a drafting pass computes on each token."""
        if not self._joins:
            return lowering.tokens(rows)
        model, precision = self.deployment.model, self.deployment.precision
        joined = product(
            "projection", GROUP, 1, rows, 2 * model.hidden, model.hidden, precision.head, precision
        )
        return [*joined, *lowering.tokens(rows)]


def _drafts(operators: Iterable[Operator], passes: int = 1) -> list[Operator]:
    """Operators of so many drafting passes, under names of their own."""
    return [
        replace(operator, name=f"draft_{operator.name}", group=GROUP, count=operator.count * passes)
        for operator in operators
        if passes
    ]

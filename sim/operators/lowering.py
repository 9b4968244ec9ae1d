"""One engine step as operators per chip, in parts that each depend on few numbers.

    step = tokens(T) + rows(R) + per_decode(n) + decodes(n, Σ context, Σ min(context, w) …)
           + chunks(new, past …) + shared(tokens of all data-parallel ranks)

T counts the rank's tokens, R its sequences (one row of logits each), n its decodes. Each part takes arrays
of cases, so that a whole grid of steps is lowered at once.

Pipeline parallelism: a step is one pass of m = min(pp, R) micro-batches through the stages; with all m under
way, a sequence waits for every stage once with its micro-batch and for pp − 1 hops between them. The parts
therefore hold all layers and are asked for ⌈T/m⌉, ⌈R/m⌉, ⌈n/m⌉, and chunks count for 1/m.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sim.deployment.deployment import Deployment
from sim.models.architecture import Attention, DenseFfn, Layer, MoeFfn
from sim.models.kv_groups import windows
from sim.models.matrices import Matrix, attention_matrices, ffn_matrices, layer_matrices
from sim.operators.attention import AttentionBlock
from sim.operators.chunks import ChunkWork, chunk_work
from sim.operators.ffn import FfnBlock
from sim.operators.operators import Collective, Elementwise, Hop, Operator
from sim.operators.products import product
from sim.operators.quantities import ACTIVATION_BYTES, Array


@dataclass(frozen=True, slots=True)
class LayerBlocks:
    """The blocks of one kind of layer, its norms and the gates of those."""

    attention: AttentionBlock
    ffn: FfnBlock
    norms: int
    gates: tuple[Matrix, ...]


class Lowering:
    """The operators of steps of one deployment.

    Attributes:
        windows: the w whose Σ min(context, w) the decodes part takes, ascending.
        queries: tokens that a decode computes.
        most_micro_batches: a step of so many sequences or more is cut into.
    """

    def __init__(self, deployment: Deployment, queries: int = 1) -> None:
        self.deployment = deployment
        self.windows = windows(deployment.model)
        self.queries = queries
        self.most_micro_batches = deployment.parallel.pp
        attention: Counter[Attention] = Counter(layer.attention for layer in deployment.model.layers)
        ffn: Counter[DenseFfn | MoeFfn] = Counter(layer.ffn for layer in deployment.model.layers)
        hidden = deployment.model.hidden
        self._attention = [
            AttentionBlock(a, n, deployment, attention_matrices(a, hidden)) for a, n in attention.items()
        ]
        self._ffn = [FfnBlock(f, n, deployment, ffn_matrices(f, hidden)) for f, n in ffn.items()]
        self._norm_count = sum(layer.norms for layer in deployment.model.layers)
        self._norm_gates: Counter[Matrix] = Counter()
        for layer, times in Counter(deployment.model.layers).items():
            gates = [m for m in layer_matrices(layer, hidden) if m.kind == "norms"]
            self._norm_gates.update({m: times * m.copies for m in gates})

    def kinds(self) -> dict[Layer, LayerBlocks]:
        """The blocks of each kind of layer of the model."""
        attention = {block.attention: block for block in self._attention}
        ffn = {block.ffn: block for block in self._ffn}
        hidden = self.deployment.model.hidden
        return {
            layer: LayerBlocks(
                attention[layer.attention],
                ffn[layer.ffn],
                layer.norms,
                tuple(m for m in layer_matrices(layer, hidden) if m.kind == "norms" for _ in range(m.copies)),
            )
            for layer in dict.fromkeys(self.deployment.model.layers)
        }

    @property
    def has_experts(self) -> bool:
        """Whether `shared` has any operators."""
        return any(isinstance(block.ffn, MoeFfn) for block in self._ffn)

    def tokens(self, rows: Array) -> list[Operator]:
        """What depends only on how many tokens a rank's micro-batch holds."""
        operators = self.embedding(rows) + self._norms(rows)
        for block in self._attention:
            operators += block.tokens(rows)
        for block in self._ffn:
            operators += block.tokens(rows)
        return operators + self.hops(rows)

    def rows(self, rows: Array) -> list[Operator]:
        """Final norm, output head and sampling, one row per sequence; and what every step has once, its part
        of the next placement of experts."""
        model, precision, tp = self.deployment.model, self.deployment.precision, self.deployment.parallel.tp
        vocab = -(-model.vocab // tp)
        norm = Elementwise(
            "final_norm", "head", 1, rows, 2 * model.hidden * ACTIVATION_BYTES, 4.0 * model.hidden
        )
        head = product("head", "head", 1, rows, model.hidden, vocab, precision.head, precision)
        sampling = Elementwise(
            "sampling", "head", 1, rows, 2 * model.vocab * ACTIVATION_BYTES, 4.0 * model.vocab
        )
        gather: list[Operator] = []
        if tp > 1:
            message = model.vocab * ACTIVATION_BYTES * rows
            gather = [Collective("logits_gather", "communication", 1, "all_gather", tp, message)]
        replacement = [operator for block in self._ffn for operator in block.replacement(rows)]
        return [norm, *head, *gather, sampling, *replacement]

    def per_decode(self, sequences: Array) -> list[Operator]:
        """What depends only on the number of decodes."""
        q = self.queries
        return [operator for block in self._attention for operator in block.per_decode(sequences, q)]

    def decodes(self, sequences: Array, sums: Sequence[Array]) -> list[list[Operator]]:
        """Attention of the decodes, one list for each of the sums it depends on.

        Args:
            sums: Σ context, then Σ min(context, w) for each of `windows`.
        """
        by_sum: list[list[Operator]] = [[] for _ in sums]
        for block in self._attention:
            which = self.sum_read(block)
            by_sum[which] += block.decodes(sequences, sums[which], self.queries)
            by_sum[0] += block.index_decodes(sequences, sums[0], self.queries)
        return by_sum

    def sum_read(self, block: AttentionBlock) -> int:
        """Which of the sums a block's decodes depend on."""
        return 0 if block.window is None else 1 + self.windows.index(block.window)

    def chunks(self, chunks: Sequence[tuple[int, int]]) -> list[Operator]:
        """Attention of the prefill chunks (new, past), one kernel per layer for all of them."""
        whole = chunk_work(chunks)
        work: dict[int | None, ChunkWork] = {w: chunk_work(chunks, w) for w in self.windows}
        work[None] = whole
        return [operator for block in self._attention for operator in block.chunks(work[block.window], whole)]

    def shared(self, tokens: tuple[int, ...], epoch: int = 0) -> list[Operator]:
        """Routed experts and their exchange on `tokens` in all data-parallel ranks together."""
        rows = np.array(tokens, np.float64)
        return [operator for block in self._ffn for operator in block.shared(tokens, rows, epoch)]

    def micro_batches(self, sequences: int) -> int:
        """Micro-batches a step is cut into: one per pipeline stage, if there are sequences enough."""
        return max(1, min(self.most_micro_batches, sequences))

    def embedding(self, rows: Array) -> list[Operator]:
        """Rows of the input table, summed over the ranks that hold parts of it."""
        model, tp = self.deployment.model, self.deployment.parallel.tp
        width = 2 * model.hidden * ACTIVATION_BYTES
        operators: list[Operator] = [Elementwise("embedding", "embedding", 1, rows, width, 0.0)]
        if tp > 1:
            message = model.hidden * ACTIVATION_BYTES * rows
            operators.append(
                Collective("embedding_all_reduce", "communication", 1, "all_reduce", tp, message)
            )
        return operators

    def _norms(self, rows: Array) -> list[Operator]:
        operators: list[Operator] = [self.norm(rows)]
        for m, times in self._norm_gates.items():
            operators += self.norm_gate(m, times, rows)
        return operators

    def norm(self, rows: Array) -> Elementwise:
        """RMSNorm fused with the residual addition: block output and residual read, both written back."""
        hidden = self.deployment.model.hidden
        width = 4 * hidden * ACTIVATION_BYTES
        return Elementwise("norm", "norms", self._norm_count, rows, width, 6.0 * hidden)

    def norm_gate(self, gate: Matrix, times: int, rows: Array) -> Sequence[Operator]:
        """The product of a norm that is gated."""
        precision = self.deployment.precision
        return product(gate.name, "norms", times, rows, gate.inputs, gate.outputs, precision.norms, precision)

    def hops(self, rows: Array) -> list[Operator]:
        """Activations on their way from pipeline stage to pipeline stage."""
        parallel = self.deployment.parallel
        stage = parallel.chips // parallel.pp
        message = self.deployment.model.hidden * ACTIVATION_BYTES * rows / parallel.tp
        return [
            Hop("stage_hop", "communication", 1, s * stage, (s + 1) * stage, message)
            for s in range(parallel.pp - 1)
        ]

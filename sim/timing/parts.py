"""A step's time as a sum of parts that each depend on few numbers (sim.operators.lowering has the sum).

`StepParts` is exact at any argument, but for `shared`: expert loads are sampled on a fixed grid of token
counts (every one up to 16, then about 2^(1/4) apart) and its time is linear between them, by definition.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sim.operators import Elementwise, Gemm, Lowering, Operator, PrefillAttention
from sim.operators.chunks import ROWS
from sim.operators.loads import LOAD_GRID
from sim.operators.quantities import Array
from sim.timing.launching import launching
from sim.timing.pricer import Pricer

_TABLE = 256
"""Row counts, `ROWS` apart, that a product over a chunk's tokens is priced for at once."""
_LARGEST = 1 << 20
"""Rows up to which such prices are tabled."""
_MEMO = 100_000
"""Chunk combinations remembered before the memo starts afresh."""


class StepParts:
    """Seconds of each part of a step under one set of conditions."""

    def __init__(self, lowering: Lowering, pricer: Pricer, epoch: int) -> None:
        self.lowering = lowering
        self.pricer = pricer
        self._epoch = epoch
        host = lowering.deployment.host
        self._host_fixed, self._host_each = pricer.host(host.fixed, host.per_sequence)
        self.launching = launching(lowering, pricer.host(host.launch, 0.0)[0])
        self._chunk_memo: dict[tuple[tuple[int, int], ...], float] = {}
        self._row_tables: dict[tuple[str, int, int], list[float]] = {}
        self._shared_nodes: dict[int, float] = {}

    def tokens(self, tokens: Array) -> Array:
        """What depends on the tokens of the rank's micro-batch."""
        return self._sum(self.lowering.tokens(tokens), tokens)

    def rows(self, rows: Array) -> Array:
        """Output head, sampling and host, by sequences."""
        return self._sum(self.lowering.rows(rows), rows) + self.host(rows)

    def host(self, sequences: Array) -> Array:
        """Host time not hidden behind the device."""
        return self._host_fixed + self._host_each * sequences

    def per_decode(self, sequences: Array) -> Array:
        """What decodes compute whatever their context."""
        return self._sum(self.lowering.per_decode(sequences), sequences)

    def decodes(self, sequences: Array, sums: Sequence[Array]) -> list[Array]:
        """Attention of the decodes, one term for each of the sums."""
        return [self._sum(part, sequences) for part in self.lowering.decodes(sequences, sums)]

    def chunks(self, chunks: Sequence[tuple[int, int]]) -> float:
        """Attention of the prefill chunks (new, past)."""
        key = tuple([self.pricer.chunk_key(new, past) for new, past in chunks])
        known = self._chunk_memo.get(key)
        if known is None:
            if len(self._chunk_memo) >= _MEMO:
                self._chunk_memo.clear()
            known = self._chunk_memo[key] = self._chunks(chunks)
        return known

    def shared(self, tokens: int) -> float:
        """Experts and their exchange on `tokens` of all ranks, linear between the nodes of `LOAD_GRID`."""
        if tokens < 1 or not self.lowering.has_experts:
            return 0.0
        nodes, weights = load_weights(tokens)
        self.sample([n for n in nodes if n not in self._shared_nodes])
        return sum(w * self._shared_nodes[n] for n, w in zip(nodes, weights, strict=True))

    def shared_upto(self, last: int) -> Array:
        """`shared` of 0 … last tokens."""
        if not self.lowering.has_experts:
            return np.zeros(last + 1)
        nodes = LOAD_GRID[: bisect_left(LOAD_GRID, last) + 1]
        self.sample([n for n in nodes if n not in self._shared_nodes])
        times = [self._shared_nodes[n] for n in nodes]
        dense = np.interp(np.arange(last + 1), nodes, times)
        dense[0] = 0.0
        return dense

    def sample(self, nodes: list[int]) -> None:
        """Price the shared part at these token counts, all at once."""
        if nodes:
            rows = np.array(nodes, np.float64)
            times = self._sum(self.lowering.shared(tuple(nodes), self._epoch), rows)
            self._shared_nodes.update(zip(nodes, times.tolist(), strict=True))

    def _sum(self, operators: Sequence[Operator], cases: Array) -> Array:
        total = np.zeros_like(cases)
        for operator in operators:
            total = total + operator.count * self.pricer.price(operator).total
        return total

    def _chunks(self, chunks: Sequence[tuple[int, int]]) -> float:
        total = 0.0
        for operator in self.lowering.chunks(chunks):
            if isinstance(operator, PrefillAttention):
                total += operator.count * self.pricer.prefill(operator)
            elif isinstance(operator, Gemm | Elementwise) and operator.rows[0] < _LARGEST:
                total += operator.count * self._by_rows(operator)
            else:
                total += operator.count * float(self.pricer.price(operator).total[0])
        return total

    def _by_rows(self, operator: Gemm | Elementwise) -> float:
        """Price of an operator over padded chunk rows, from a table filled in blocks."""
        block, place = divmod(int(operator.rows[0]) // ROWS, _TABLE)
        key = (operator.name, operator.count, block)
        if key not in self._row_tables:
            rows = ROWS * (block * _TABLE + np.arange(_TABLE, dtype=np.float64))
            self._row_tables[key] = self.pricer.price(replace(operator, rows=rows)).total.tolist()
        return self._row_tables[key][place]


def load_weights(tokens: int) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """The nodes of `LOAD_GRID` around a token count and their weights in linear interpolation."""
    i = bisect_left(LOAD_GRID, tokens)
    if LOAD_GRID[i] == tokens:
        return (tokens,), (1.0,)
    low, high = LOAD_GRID[i - 1], LOAD_GRID[i]
    above = (tokens - low) / (high - low)
    return (low, high), (1.0 - above, above)

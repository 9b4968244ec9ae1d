"""The engine's price list: a timer's parts as tables, filled when first asked for.

Grids, on each of which a part is exact at the nodes and linear between them:
  tokens   every token count up to 64; then 16j+1, 16j+8, 16(j+1) up to 512 and 64j+1, 64j+32, 64(j+1) beyond,
           where the row tiles of products step
  rows     exact at every number of sequences
  decodes  for each number of decodes, mean contexts 2^(i/8) apart up to the model's longest (or 2^16),
           straight beyond; the sum is what the engine keeps
  shared   every token count on the timer's own grid of expert loads: exact
  chunks   the timer's own function
The error against the timer stays within 0.1 % (tests/test_surface.py).
"""

from bisect import bisect_right
from collections.abc import Sequence
from functools import cache

import numpy as np

from sim.operators.quantities import Array
from sim.timing.launching import floored
from sim.timing.parts import StepParts
from sim.timing.step_timer import PartsTimer

_FAR = 1 << 60
"""Steps of a segment that nothing ends."""
_ROWS_BLOCK = 64
_DECODES_BLOCK = 32
_NODES_PER_OCTAVE = 8
_MEMO = 1 << 16
"""Chunks remembered before the memo starts afresh."""
_LONG = 1 << 16
"""Mean contexts are tabled up to here, or to the model's longest if that is more."""
Curve = tuple[list[float], list[float], list[float]]
"""Nodes, values and slopes of a piecewise linear function of one sum."""


class StepSurface:
    """Prices of one deployment's engine steps in seconds (`Surface[float]`).

    Attributes:
        windows: the w whose Σ min(context, w) the engine keeps in sums[1:].
        queries: tokens that a decode computes in a step.
    """

    def __init__(self, timer: PartsTimer) -> None:
        self.windows = timer.windows
        self._timer = timer
        self._parts: StepParts = timer.parts()
        self.queries = timer.queries
        self._pp = timer.lowering.most_micro_batches
        self._pcp = timer.deployment.parallel.pcp
        launching = self._parts.launching
        self._captured, self._pieces, self._kernels = launching.captured, launching.pieces, launching.mixed
        self._ranks = timer.ranks
        self._padded = bool(timer.deployment.host.prefill_sizes)
        self._step_tokens = timer.ranks * timer.queries
        self._tokens: list[float] = [0.0]
        self._rows: list[float] = [0.0]
        self._shared: list[float] = [0.0]
        self._base: dict[int, float] = {}
        self._contexts = context_nodes(max(timer.deployment.model.context, _LONG))
        self._tables: dict[int, tuple[Array, ...]] = {}
        self._curves: dict[int, tuple[Curve, ...]] = {}
        self._alone: dict[int, tuple[Curve, ...]] = {}
        self._whole: dict[int, Curve] = {}
        self._chunk: dict[tuple[int, int], float] = {}

    def segment(
        self, decodes: int, sums: Sequence[float], growth: Sequence[float]
    ) -> tuple[float, float, int]:
        """(first, slope, length): decode-only step i (0 ≤ i < length) takes first + slope·i."""
        if self.windows:
            first, slope, length = self.rank_segment(decodes, sums, growth)
            return first + self.shared(self._step_tokens * decodes), slope, length
        nodes, values, slopes = self._whole.get(decodes) or self._fold(decodes)
        total, step = sums[0], growth[0]
        i = bisect_right(nodes, total, 1, len(slopes)) - 1
        slope = slopes[i]
        first = values[i] + slope * (total - nodes[i])
        length = _FAR
        if step > 0 and i + 1 < len(slopes):
            length = int((nodes[i + 1] - total) // step) + 1
        if self.queries * decodes <= self._captured:
            return first, slope * step, length
        return floored(first, slope * step, length, self._least(decodes))

    def _fold(self, decodes: int) -> Curve:
        """The whole of a decode-only step as one curve, where there is one sum."""
        ((nodes, values, slopes),) = self._alone.get(decodes) or self._tabulate(decodes)
        constant = self._base[decodes] + self.shared(self._step_tokens * decodes)
        curve = self._whole[decodes] = (nodes, [constant + value for value in values], slopes)
        return curve

    def mixed(self, decodes: int, sums: Sequence[float], chunks: Sequence[tuple[int, int]]) -> float:
        """Seconds of one step with prefill chunks (new, past) beside the decodes."""
        if self._padded:
            chunks = self._timer.as_compiled(chunks)
        tokens = self.queries * decodes
        for chunk in chunks:
            tokens += chunk[0]
        micro = 1 if self._pp == 1 else max(1, min(self._pp, decodes + len(chunks)))
        return self.rank_mixed(decodes, sums, chunks) + self._shared_by(self._ranks * tokens, micro)

    def rank_segment(
        self, decodes: int, sums: Sequence[float], growth: Sequence[float]
    ) -> tuple[float, float, int]:
        """As `segment`, without the part that all data-parallel ranks share."""
        curves = self._alone.get(decodes)
        if curves is None:
            curves = self._tabulate(decodes)
        first = self._base[decodes]
        slope = 0.0
        length = _FAR
        for (nodes, values, slopes), total, step in zip(curves, sums, growth, strict=True):
            i = bisect_right(nodes, total, 1, len(slopes)) - 1
            per_token = slopes[i]
            first += values[i] + per_token * (total - nodes[i])
            if step > 0:
                slope += per_token * step
                if i + 1 < len(slopes):
                    until = int((nodes[i + 1] - total) // step) + 1
                    if until < length:
                        length = until
        if self.queries * decodes <= self._captured:
            return first, slope, length
        return floored(first, slope, length, self._least(decodes) - self.shared(self._step_tokens * decodes))

    def rank_mixed(self, decodes: int, sums: Sequence[float], chunks: Sequence[tuple[int, int]]) -> float:
        """As `mixed`, without the part that all data-parallel ranks share."""
        if self._padded:
            chunks = self._timer.as_compiled(chunks)
        tokens = self.queries * decodes
        for chunk in chunks:
            tokens += chunk[0]
        whole, micro = tokens, 1
        if self._pcp > 1:
            alike = self.queries * decodes
            tokens = alike + -(-(whole - alike) // self._pcp)
        sequences = decodes + len(chunks)
        seconds = self._lone(chunks[0]) if len(chunks) == 1 else self._parts.chunks(chunks)
        if self._pp > 1:
            micro = max(1, min(self._pp, sequences))
            tokens, sequences, seconds = -(-tokens // micro), -(-sequences // micro), seconds / micro
        if tokens >= len(self._tokens):
            self._extend_tokens(tokens)
        if sequences >= len(self._rows):
            self._extend_rows(sequences)
        seconds += self._tokens[tokens] + self._rows[sequences]
        if decodes:
            curves = self._curves.get(decodes)
            if curves is None:
                self._tabulate(decodes)
                curves = self._curves[decodes]
            for (nodes, values, slopes), total in zip(curves, sums, strict=True):
                i = bisect_right(nodes, total, 1, len(slopes)) - 1
                seconds += values[i] + slopes[i] * (total - nodes[i])
        seconds -= self._timer.hidden_mixed(whole, decodes + len(chunks), seconds)
        least = self._pieces if tokens <= self._captured else self._kernels
        if seconds >= least:
            return seconds
        return max(seconds, least - self._shared_by(self._ranks * whole, micro))

    def _least(self, decodes: int) -> float:
        """Seconds the host needs to launch a decode-only step; the ranks of a step launch alike."""
        micro = min(self._pp, decodes)
        return self._parts.launching.of_decodes(self.queries * -(-decodes // micro))

    def _lone(self, chunk: tuple[int, int]) -> float:
        """A step's only chunk, the usual case; lengths recur."""
        seconds = self._chunk.get(chunk)
        if seconds is None:
            if len(self._chunk) >= _MEMO:
                self._chunk.clear()
            seconds = self._chunk[chunk] = self._parts.chunks((chunk,))
        return seconds

    def shared(self, tokens: int) -> float:
        """The part of a step that all ranks do together, on `tokens` in all."""
        decodes = -(-tokens // self.queries)
        return self._shared_by(tokens, 1 if self._pp == 1 else self._timer.lowering.micro_batches(decodes))

    def _shared_by(self, tokens: int, micro: int) -> float:
        tokens = -(-tokens // micro)
        if tokens >= len(self._shared):
            self._shared = self._parts.shared_upto(_next_power(tokens)).tolist()
        return self._shared[tokens]

    def _extend_tokens(self, tokens: int) -> None:
        """Table the token counts of the next powers of two."""
        while tokens >= len(self._tokens):
            start = len(self._tokens)
            end = _next_power(max(start, 64))
            nodes = token_nodes(start, end)
            times = self._parts.tokens(nodes)
            self._tokens += np.interp(np.arange(start, end + 1), nodes, times).tolist()

    def _extend_rows(self, sequences: int) -> None:
        start = len(self._rows)
        end = max(sequences + 1, start + _ROWS_BLOCK)
        self._rows += self._parts.rows(np.arange(start, end, dtype=np.float64)).tolist()

    def _tabulate(self, decodes: int) -> tuple[Curve, ...]:
        """The attention of so many decodes as curves, and what else such a step costs as a number; returned
        are the curves of a decode-only step, less what its streams hide."""
        micro = min(self._pp, decodes)
        block, place = divmod(decodes - 1, _DECODES_BLOCK)
        if block not in self._tables:
            self._tables[block] = self._decode_block(block)
        tables = [table[place] for table in self._tables[block]]
        sums = decodes * self._contexts
        self._curves[decodes] = curves = tuple(_curve(sums, table) for table in tables)
        hidden = self._timer.hidden_decodes(decodes, self._contexts)
        if hidden.any():
            curves = (_curve(sums, tables[0] - hidden), *curves[1:])
        self._alone[decodes] = curves
        self._base[decodes] = self._decode_base(decodes, micro)
        return curves

    def _decode_block(self, block: int) -> tuple[Array, ...]:
        """Seconds by (number of decodes, mean context) for a block of decode numbers, one table per sum."""
        counts = np.arange(_DECODES_BLOCK, dtype=np.float64) + (block * _DECODES_BLOCK + 1)
        mine = np.ceil(counts / np.minimum(self._pp, counts))
        sums = np.outer(mine, self._contexts)
        flat = np.repeat(mine, len(self._contexts))
        terms = self._parts.decodes(flat, [sums.ravel()] * (1 + len(self.windows)))
        first, *others = (term.reshape(sums.shape) for term in terms)
        return first + self._parts.per_decode(mine)[:, None], *others

    def _decode_base(self, decodes: int, micro: int) -> float:
        """Everything of a decode-only step but its attention and the shared part."""
        tokens, rows = -(-self._timer.padded(decodes) // micro), -(-decodes // micro)
        if tokens >= len(self._tokens):
            self._extend_tokens(tokens)
        if rows >= len(self._rows):
            self._extend_rows(rows)
        return self._tokens[tokens] + self._rows[rows]


@cache
def context_nodes(longest: int) -> Array:
    """Mean contexts from 1 to the power of two at or above `longest`, 2^(1/8) apart."""
    octaves = (longest - 1).bit_length()
    steps = octaves * _NODES_PER_OCTAVE
    nodes = {round(2.0 ** (i / _NODES_PER_OCTAVE)) for i in range(steps + 1)}
    return np.array(sorted(nodes), np.float64)


def token_nodes(start: int, end: int) -> Array:
    """Nodes from `start` to `end`: every one up to 64, three to a tile of 16 up to 512, of 64 beyond."""
    nodes = {start, end}
    nodes.update(range(start, min(end, 64) + 1))
    for tile, first, last in ((16, 64, 512), (64, 512, end)):
        for lower in range(first, min(end, last), tile):
            nodes.update((lower + 1, lower + tile // 2, lower + tile))
    return np.array(sorted(n for n in nodes if start <= n <= end), np.float64)


def _curve(nodes: Array, values: Array) -> Curve:
    slopes = np.diff(values) / np.diff(nodes)
    return nodes.tolist(), values.tolist(), slopes.tolist()


def _next_power(n: int) -> int:
    return 1 << max(n, 64).bit_length() if n >= 64 else 64

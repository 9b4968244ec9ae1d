"""How much overlapping streams hide of a step, on a grid: what runs and step surfaces subtract.

    hidden(step) = Σ of its kernels alone, one behind the other − the step as simulated
negative where two small micro-batches take longer than one. Simulated at the nodes when first asked for:
    decode-only steps   numbers of decodes √2 apart, mean contexts 4 apart from 256 to 65,536, held beyond;
                        bilinear in the logarithms
    steps with prefill  tokens √2 apart, as one chunk without past; linear in the logarithm
The hidden time follows tokens and attention smoothly; docs/event.md has the error of the grid.
"""

from bisect import bisect_right
from collections.abc import Callable
from math import log

from sim.operators import BatchShape

Hidden = Callable[[BatchShape], float]


def _nodes() -> tuple[int, ...]:
    return tuple(sorted({round(2.0 ** (i / 2)) for i in range(49)}))


TOKENS = _nodes()
"""1, 2, 3, 4, 6, 8, 11, 16 … to 2^24."""
CONTEXTS = tuple(4**i for i in range(4, 9))


class HiddenTime:
    """Hidden seconds of the steps of one deployment, remembered by node.

    Args:
        hidden: of one step, by simulation; windows, queries: as the timer has them.
        most: tokens a chunk may have, beyond which nodes are not simulated but held.
    """

    def __init__(self, hidden: Hidden, windows: tuple[int, ...], queries: int, most: int) -> None:
        self._hidden = hidden
        self._windows = windows
        self._queries = queries
        self._most = most
        self._decode: dict[tuple[int, int], float] = {}
        self._prefill: dict[int, float] = {}

    def decodes(self, decodes: int, mean_context: float) -> float:
        """Of a decode-only step."""
        return _between(
            TOKENS,
            decodes,
            lambda n: _between(CONTEXTS, mean_context, lambda c: self._decode_node(n, c)),
        )

    def mixed(self, tokens: int) -> float:
        """Of a step with prefill chunks that computes so many tokens in all."""
        return _between(TOKENS, min(tokens, self._most), self._prefill_node)

    def _decode_node(self, decodes: int, context: int) -> float:
        key = decodes, context
        if key not in self._decode:
            windowed = tuple(decodes * min(context, window) for window in self._windows)
            self._decode[key] = self._hidden(
                BatchShape(decodes, decodes * context, windowed, queries=self._queries)
            )
        return self._decode[key]

    def _prefill_node(self, tokens: int) -> float:
        if tokens not in self._prefill:
            empty = (0,) * len(self._windows)
            self._prefill[tokens] = self._hidden(BatchShape(0, 0, empty, ((tokens, 0),)))
        return self._prefill[tokens]


def _between(nodes: tuple[int, ...], at: float, value: Callable[[int], float]) -> float:
    """Linear between the nodes around `at` in its logarithm; held beyond the first and the last."""
    at = max(at, nodes[0])
    i = bisect_right(nodes, at) - 1
    low = nodes[i]
    if at == low or i + 1 == len(nodes):
        return value(low)
    high = nodes[i + 1]
    above = log(at / low) / log(high / low)
    return (1.0 - above) * value(low) + above * value(high)

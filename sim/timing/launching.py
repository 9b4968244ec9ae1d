"""The host's part of a step's pace: a step takes no less than launching its kernels does.

Decode batches up to the largest captured size replay one graph: nothing to launch. A step with prefill
chunks replays captured pieces up to that size, with attention launched between them; beyond, or where the
engine captures no pieces, all is launched:
  T ≥ each · Σ kernels             more tokens than captured, or no pieces
  T ≥ each · (Σ attention kernels + attention layers + 1)      pieces
The device starts behind the host and works meanwhile, so the two overlap: the longer counts.

`each` is the engine's (deployment.engine.host.launch); kernels are counted in sim.operators.launches.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from sim.operators import Lowering, Operator, launches, splits_graphs


@dataclass(frozen=True, slots=True)
class Launching:
    """Least seconds of a step by what the host launches for it.

    Attributes:
        captured: largest batch that graphs were captured for, 0 for none; replayed: likewise of steps with
            chunks, whose captured pieces are replayed.
        decode, mixed: s to launch all kernels of a decode-only step, of one with chunks; pieces: s to launch
            one with chunks in captured pieces.
    """

    captured: int
    replayed: int
    decode: float
    mixed: float
    pieces: float

    def of_mixed(self, tokens: int) -> float:
        """Least seconds of a step with chunks."""
        return self.pieces if tokens <= self.replayed else self.mixed

    def of_decodes(self, tokens: int) -> float:
        """Least seconds of a decode-only step of so many tokens."""
        return 0.0 if tokens <= self.captured else self.decode


def launching(lowering: Lowering, each: float) -> Launching:
    """The least times of a deployment whose host launches one kernel in `each` seconds."""
    one = np.array([1.0])
    common = lowering.tokens(one) + lowering.rows(one) + lowering.shared((1,))
    decode = list(lowering.per_decode(one))
    for part in lowering.decodes(one, [one] * (1 + len(lowering.windows))):
        decode += part
    chunk = lowering.chunks(((1, 0),))
    between = [operator for operator in chunk if splits_graphs(operator)]
    pieces = sum(operator.count for operator in between) + 1
    host = lowering.deployment.host
    captured = host.graph_sizes[-1] if host.graph_sizes else 0
    return Launching(
        captured,
        captured if host.piecewise else 0,
        each * _kernels([*common, *decode]),
        each * _kernels([*common, *chunk]),
        each * (_kernels(between) + pieces),
    )


def floored(first: float, slope: float, length: int, least: float) -> tuple[float, float, int]:
    """The beginning of max(first + slope·i, least) that is straight."""
    if first >= least:
        return first, slope, length
    if slope <= 0.0:
        return least, 0.0, length
    return least, 0.0, min(length, max(1, ceil((least - first) / slope)))


def _kernels(operators: Sequence[Operator]) -> int:
    return sum(operator.count * launches(operator) for operator in operators)

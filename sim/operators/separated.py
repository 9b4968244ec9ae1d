"""A step whose attention and feed-forward blocks run on chips of their own.

    attention chips   M = tp · dp: embedding, norms, attention, router, head, on their rank's tokens
    FFN chips         N: dense blocks and shared experts on 1/N of all tokens each, experts in ep groups

In every layer tokens travel from M to N chips and back, each to c chips: one for a dense block, the mean
number that hold its experts else. A transfer lasts as long as its busiest chip's, one chip of the M or the N:
    bytes = all tokens · c · hidden · bytes per value / min(M, N)
Activations are sent in their own type, results come back in bf16 and summed over a chip's experts.

After MegaScale-Infer (arXiv 2504.02263, section 4) and Step-3 (arXiv 2507.19427, section 4).
"""

from typing import Literal

import numpy as np

from sim.deployment.deployment import Deployment, FfnChips
from sim.models.architecture import MoeFfn
from sim.models.dtypes import bytes_per_value
from sim.operators.communication import Hop
from sim.operators.ffn import FfnBlock
from sim.operators.lowering import Lowering
from sim.operators.operators import Operator
from sim.operators.quantities import ACTIVATION_BYTES, Array

Side = Literal["attention", "feed_forward", "dispatch", "combine"]
"""What works on an operator: chips of one kind, or the links from the first to the second and back."""
_FEED_FORWARD = ("dense_ffn", "shared_experts", "experts")


def side_of(name: str, group: str) -> Side:
    """What works on the operator of this name and group."""
    if name == "dispatch":
        return "dispatch"
    if name == "combine":
        return "combine"
    return "feed_forward" if group in _FEED_FORWARD else "attention"


class SeparatedLowering(Lowering):
    """The operators of one micro-batch on both kinds of chips; the parts are those of `Lowering`."""

    def __init__(self, deployment: Deployment, apart: FfnChips) -> None:
        super().__init__(deployment)
        self.most_micro_batches = apart.micro_batches
        self._apart = apart.chips
        side = deployment.feed_forward
        self._separate = [FfnBlock(b.ffn, b.count, side, b.matrices) for b in self._ffn]

    def tokens(self, rows: Array) -> list[Operator]:
        """What depends on the tokens of a rank: its own, and its part of all ranks' dense blocks."""
        everyone = self.deployment.parallel.dp * rows
        operators = self.embedding(rows) + self._norms(rows)
        for attention in self._attention:
            operators += attention.tokens(rows)
        for block in self._separate:
            operators += [o for o in block.tokens(rows) if o.group == "router"]
            share = np.ceil(everyone / self._apart)
            operators += [o for o in block.tokens(share) if o.group != "router"]
            if not isinstance(block.ffn, MoeFfn):
                operators += self._transfers(block.count, everyone, 1.0)
        return operators

    def shared(self, tokens: tuple[int, ...], epoch: int = 0) -> list[Operator]:
        """Routed experts, and the transfers to and from them."""
        rows, operators = np.array(tokens, np.float64), list[Operator]()
        for block in self._separate:
            if isinstance(block.ffn, MoeFfn):
                copies = min(block.chips_of_a_token(block.routing(epoch)), float(self._apart))
                operators += [block.experts(tokens, epoch), *self._transfers(block.count, rows, copies)]
        return operators

    def _transfers(self, count: int, tokens: Array, copies: float) -> list[Operator]:
        deployment, parallel = self.deployment, self.deployment.parallel
        values = tokens * copies * deployment.model.hidden / min(parallel.tp * parallel.dp, self._apart)
        sent = bytes_per_value(deployment.precision.activations)
        last = parallel.chips - 1
        return [
            Hop("dispatch", "communication", count, 0, last, values * sent),
            Hop("combine", "communication", count, last, 0, values * ACTIVATION_BYTES),
        ]

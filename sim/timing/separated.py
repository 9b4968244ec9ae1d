"""Attention and feed-forward chips that pass micro-batches to and fro.

With m micro-batches, of which one takes A on the attention chips, F on the others, D and C on the links there
and back (all layers together), every side works on one of them at a time, and each of them is in one place at
a time. In steady state a step therefore takes
    T = host + max( m·A, m·F, m·D, m·C, A + D + F + C )
the last where micro-batches are too few to keep anybody busy: transfers hide with
    m ≥ (A + D + F + C) / max(A, F),  3 of them where A = F and D + C ≤ A.
Filling and draining the pipeline is left out: a new step's first micro-batch follows the last step's.

Source: MegaScale-Infer (arXiv 2504.02263, section 4.1, constraints 1 to 3 and equation 5).
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sim.deployment.deployment import Deployment
from sim.operators import Operator, Side, side_of
from sim.operators.quantities import Array
from sim.timing.breakdown import Row, times_row
from sim.timing.parts import StepParts, load_weights
from sim.timing.step_timer import Fidelity, PartsTimer
from sim.timing.timer import CALM, Bound, Conditions


@dataclass(frozen=True, slots=True)
class _Beyond:
    """Seconds of a micro-batch beside the attention chips."""

    feed_forward: float
    dispatch: float
    combine: float

    def waits(self, serial: Array, host: float, micro: int) -> Array:
        """T less the seconds of one micro-batch going round alone, which are `serial`, host included."""
        going_round = serial - host
        attention = going_round - (self.feed_forward + self.dispatch + self.combine)
        busiest = max(self.feed_forward, self.dispatch, self.combine)
        return np.maximum(micro * np.maximum(attention, busiest) - going_round, 0.0)


class SeparatedTimer(PartsTimer):
    """Times steps of chips for attention and chips for feed-forward blocks."""

    def __init__(self, deployment: Deployment, fidelity: Fidelity) -> None:
        super().__init__(deployment, fidelity)
        self._dense: dict[tuple[Conditions, int], dict[Side, float]] = {}
        self._routed: dict[tuple[Conditions, int], dict[Side, float]] = {}

    def hidden_decodes(self, decodes: int, mean_contexts: Array, conditions: Conditions = CALM) -> Array:
        """What a step of decodes takes less than one micro-batch going round: never more than nothing."""
        parts, micro = self.parts(conditions), self.lowering.micro_batches(decodes)
        mine, tokens = -(-decodes // micro), -(-self.padded(decodes) // micro)
        routed = -(-self.ranks * decodes // micro)
        one, rows = np.array([float(mine)]), np.array([float(tokens)])
        fixed = parts.tokens(rows) + parts.rows(one) + parts.per_decode(one) + parts.shared(routed)
        sums = [mine * mean_contexts, *(mine * np.minimum(mean_contexts, w) for w in self.windows)]
        serial = fixed + np.sum(parts.decodes(np.full(len(mean_contexts), float(mine)), sums), axis=0)
        beyond = self._beyond(parts, tokens, routed, conditions)
        return -beyond.waits(serial, float(parts.host(one)[0]), micro)

    def hidden_mixed(
        self, tokens: int, sequences: int, seconds: float, conditions: Conditions = CALM
    ) -> float:
        """Likewise of a step with prefill."""
        parts, micro = self.parts(conditions), self.lowering.micro_batches(sequences)
        routed = -(-self.ranks * tokens // micro)
        serial = np.array([seconds + parts.shared(routed)])
        host = float(parts.host(np.array([float(-(-sequences // micro))]))[0])
        beyond = self._beyond(parts, -(-tokens // micro), routed, conditions)
        return -float(beyond.waits(serial, host, micro)[0])

    def in_step(self, listed: list[Row], micro: int) -> list[Row]:
        """Each row with the work of all micro-batches, as a mean over the replica's chips, and its time on
        the critical path: that of all on the busiest side, or of one going round."""
        sides: list[Side] = [side_of(row.time.name, row.time.group) for row in listed]
        seconds: dict[Side, float] = defaultdict(float)
        for side, row in zip(sides, listed, strict=True):
            seconds[side] += row.time.time
        busiest: Side = max(seconds, key=lambda side: seconds[side])
        alone = micro * seconds[busiest] <= sum(seconds.values())
        parallel = self.deployment.parallel
        attention = parallel.tp * parallel.dp / parallel.chips

        def placed(row: Row, side: Side) -> Row:
            share = 1.0 - attention if side == "feed_forward" else attention
            return _placed(times_row(row, micro), share, 1.0 / micro if alone else float(side == busiest))

        return [placed(row, side) for row, side in zip(listed, sides, strict=True)]

    def _beyond(self, parts: StepParts, tokens: int, routed: int, conditions: Conditions) -> _Beyond:
        """Of a micro-batch of `tokens` on a rank, `routed` on all."""
        seconds: dict[Side, float] = defaultdict(float)
        listed = [(self._of_dense(parts, tokens, conditions), 1.0)]
        for node, weight in zip(*load_weights(routed), strict=True):
            listed.append((self._of_routed(parts, node, conditions), weight))
        for taken, weight in listed:
            for side, part in taken.items():
                seconds[side] += weight * part
        return _Beyond(seconds["feed_forward"], seconds["dispatch"], seconds["combine"])

    def _of_dense(self, parts: StepParts, tokens: int, conditions: Conditions) -> dict[Side, float]:
        key = conditions, tokens
        if key not in self._dense:
            operators = self.lowering.tokens(np.array([float(tokens)]))
            self._dense[key] = _by_side(operators, parts)
        return self._dense[key]

    def _of_routed(self, parts: StepParts, node: int, conditions: Conditions) -> dict[Side, float]:
        key = conditions, node
        if key not in self._routed:
            self._routed[key] = _by_side(self.lowering.shared((node,), conditions.epoch), parts)
        return self._routed[key]


def _by_side(operators: Sequence[Operator], parts: StepParts) -> dict[Side, float]:
    """Seconds by what works."""
    seconds: dict[Side, float] = defaultdict(float)
    for operator in operators:
        taken = operator.count * float(parts.pricer.price(operator).total[0])
        seconds[side_of(operator.name, operator.group)] += taken
    return seconds


def _placed(row: Row, share: float, path: float) -> Row:
    """The row with its work as a mean over all chips, `share` of which do it, and `path` of its time."""
    time = row.time
    parts: dict[Bound, float] = {cause: part * path for cause, part in time.parts.items()}
    placed = replace(
        time,
        time=time.time * path,
        light=time.light * path,
        flops=time.flops * share,
        hbm_bytes=time.hbm_bytes * share,
        wire_bytes=time.wire_bytes * share,
        energy=time.energy * share,
        parts=parts,
        levels={tier: taken * path for tier, taken in time.levels.items()},
    )
    return Row(placed, row.compute * share, row.hbm * share, row.link * share)

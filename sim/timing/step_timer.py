"""The timer of a step: its parts summed, and the same operators listed one by one.

step = tokens(T') + rows(R') + per_decode(n') + Σ decodes(n', S·n'/n) + chunks/m + shared(T_all')
with m micro-batches (1 without pipeline parallelism) and x' = ⌈x/m⌉; rows include the host. No step is
shorter than the launch of its kernels (sim.timing.launching). T counts a decode's drafts; in a decode-only
step it is the next captured graph size. With dp > 1 every rank is taken to do what this one does.

With fewer micro-batches than stages, each stage is without one for a share 1 − m/pp of the pass: the bubble.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sim.deployment.deployment import Deployment
from sim.operators import BatchShape, Operator, lowering_of
from sim.operators.quantities import Array
from sim.timing.breakdown import Row, host_row, operator_rows, step_breakdown, with_bubble
from sim.timing.model_error import ErringPricer
from sim.timing.parts import StepParts, load_weights
from sim.timing.pricer import AnalyticPricer, Pricer, RooflinePricer
from sim.timing.rates import Rates, rates
from sim.timing.timer import CALM, Conditions, StepBreakdown

Fidelity = Literal["roofline", "analytic", "event", "tables"]


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """What one micro-batch of a step computes, in the arguments of `Lowering`.

    Attributes:
        of: micro-batches of the step. tokens: padded; decodes, sums: of the decodes in it; chunks: the
            step's, which count for 1/`of`.
        routed, weights: nodes of `LOAD_GRID` that stand for the tokens of all ranks, and their weights.
    """

    of: int
    tokens: Array
    sequences: Array
    decodes: Array
    sums: tuple[Array, ...]
    chunks: tuple[tuple[int, int], ...]
    routed: tuple[int, ...]
    weights: tuple[float, ...]


class PartsTimer:
    """Times the steps of one deployment at one fidelity.

    Attributes:
        windows: the w whose Σ min(context, w) a batch carries.
    """

    def __init__(self, deployment: Deployment, fidelity: Fidelity) -> None:
        self.deployment = deployment
        self.fidelity: Fidelity = fidelity
        self.lowering = lowering_of(deployment)
        self.windows = self.lowering.windows
        self._parts: dict[Conditions, StepParts] = {}

    def parts(self, conditions: Conditions = CALM) -> StepParts:
        """The parts of a step under `conditions`."""
        if conditions not in self._parts:
            pricer = self.pricer(self.rates(conditions))
            self._parts[conditions] = StepParts(self.lowering, pricer, conditions.epoch)
        return self._parts[conditions]

    def rates(self, conditions: Conditions) -> Rates:
        """The chip's rates under `conditions`, with the engine's kernels."""
        return rates(self.deployment.cluster.chip, conditions, self.deployment.kernels)

    def pricer(self, chip: Rates) -> Pricer:
        """What prices this fidelity's operators at the chip's rates."""
        cluster = self.deployment.cluster
        if self.fidelity == "roofline":
            return RooflinePricer(chip, cluster)
        exact = AnalyticPricer(chip, cluster)
        factors = cluster.chip.time_factors
        return ErringPricer(exact, factors) if factors else exact

    @property
    def ranks(self) -> int:
        """Data-parallel ranks that share a step: dp of a model with experts, 1 of a dense one."""
        return self.deployment.parallel.dp if self.lowering.has_experts else 1

    @property
    def queries(self) -> int:
        """Tokens that a decode computes: its last one, and the drafts that it verifies."""
        return self.lowering.queries

    def padded(self, decodes: int) -> int:
        """Tokens a decode-only step computes: the next captured graph size, or its own number beyond."""
        sizes, tokens = self.deployment.host.graph_sizes, self.queries * decodes
        i = bisect_left(sizes, tokens)
        return sizes[i] if i < len(sizes) else tokens

    def as_compiled(self, chunks: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
        """Prefill chunks as they are computed: padded to compiled lengths, if there are any."""
        host = self.deployment.host
        return tuple((host.padded_prefill(new), past) for new, past in chunks)

    def durations(self, batch: BatchShape, k: int = 1, conditions: Conditions = CALM) -> NDArray[np.float64]:
        """Seconds of this step and the k − 1 decode steps after it (chunks only in the first).

        Σ min(context, w) of later steps grows by the number of decodes until every one of them is at w.
        """
        parts = self.parts(conditions)
        seconds = self._decode_steps(parts, batch, k, conditions)
        if batch.chunks:
            compiled = replace(batch, chunks=self.as_compiled(batch.chunks))
            seconds[0] = self._mixed_step(parts, compiled, conditions)
        return seconds

    def breakdown(self, batch: BatchShape, conditions: Conditions = CALM) -> StepBreakdown:
        """`explain` as cheaply as this fidelity has it: of many steps, without a timeline."""
        return self.explain(batch, conditions)

    def explain(self, batch: BatchShape, conditions: Conditions = CALM) -> StepBreakdown:
        """The step operator by operator; its total equals `durations(batch)[0]`."""
        asked, batch = batch, replace(batch, chunks=self.as_compiled(batch.chunks))
        parts, cluster = self.parts(conditions), self.deployment.cluster
        one = self.micro_batch(batch)
        chip = self.rates(conditions)

        def rows(operators: Sequence[Operator], weights: tuple[float, ...]) -> list[Row]:
            return operator_rows(operators, weights, parts.pricer, chip, cluster)

        listed = [row for part in self.operators(one, conditions.epoch) for row in rows(*part)]
        listed = self.in_step(listed, one.of)
        listed.append(host_row("host", float(parts.host(one.sequences)[0]), parts.pricer.source))
        waited = self.launched(parts, batch, one.of) - sum(row.time.time for row in listed)
        if waited > 0.0:
            listed.append(host_row("kernel_launches", waited, parts.pricer.source))
        return step_breakdown(asked, listed)

    def in_step(self, listed: list[Row], micro: int) -> list[Row]:
        """The rows of one of `micro` micro-batches as shares of the step."""
        idle = 1.0 - micro / self.deployment.parallel.pp
        return [with_bubble(row, idle) for row in listed] if idle > 0.0 else listed

    def hidden_decodes(self, decodes: int, mean_contexts: Array, conditions: Conditions = CALM) -> Array:
        """Seconds that overlapping streams hide of decode-only steps: none where operators are added up."""
        return np.zeros_like(mean_contexts)

    def hidden_mixed(
        self, tokens: int, sequences: int, seconds: float, conditions: Conditions = CALM
    ) -> float:
        """Seconds that overlapping streams hide of a step with prefill.

        Args:
            seconds: of the rank's own part, which all ranks do not share.
        """
        return 0.0

    def micro_batch(self, batch: BatchShape) -> MicroBatch:
        """The largest micro-batch of a step."""
        micro = self.lowering.micro_batches(batch.sequences)
        tokens = self._own(batch) if batch.chunks else self.padded(batch.decodes)
        mine, sums = self._largest(batch, micro, 1) if batch.decodes else (0.0, [])
        nodes, weights = load_weights(_share(self.ranks * batch.tokens, micro))
        return MicroBatch(
            micro,
            _one(_share(tokens, micro)),
            _one(_share(batch.sequences, micro)),
            _one(mine),
            tuple(sums),
            batch.chunks,
            nodes,
            weights,
        )

    def operators(self, one: MicroBatch, epoch: int) -> list[tuple[list[Operator], tuple[float, ...]]]:
        """The operators of a micro-batch, each list with the weights of its cases."""
        lowering, alone = self.lowering, (1.0,)
        listed = [(lowering.tokens(one.tokens), alone), (lowering.rows(one.sequences), alone)]
        if one.decodes[0] > 0:
            listed.append((lowering.per_decode(one.decodes), alone))
            listed += [(part, alone) for part in lowering.decodes(one.decodes, one.sums)]
        if one.chunks:
            listed.append((lowering.chunks(one.chunks), (1.0 / one.of,)))
        return [*listed, (lowering.shared(one.routed, epoch), one.weights)]

    def launched(self, parts: StepParts, batch: BatchShape, micro: int) -> float:
        """Least seconds of the step by what the host launches for it."""
        if batch.chunks:
            return parts.launching.of_mixed(_share(self._own(batch), micro))
        return parts.launching.of_decodes(self.queries * _share(batch.decodes, micro))

    def _decode_steps(self, parts: StepParts, batch: BatchShape, k: int, conditions: Conditions) -> Array:
        if not batch.decodes:
            return np.zeros(k)
        micro = self.lowering.micro_batches(batch.decodes)
        mine, sums = self._largest(batch, micro, k)
        fixed = parts.tokens(_one(_share(self.padded(batch.decodes), micro)))
        fixed = fixed + parts.rows(_one(_share(batch.decodes, micro)))
        fixed = fixed + parts.shared(_share(self.ranks * self.queries * batch.decodes, micro))
        fixed = fixed + parts.per_decode(_one(mine))
        seconds = fixed + np.sum(parts.decodes(np.full(k, mine), sums), axis=0)
        mean = batch.context / batch.decodes + np.arange(k, dtype=np.float64)
        seconds = seconds - self.hidden_decodes(batch.decodes, mean, conditions)
        return np.maximum(seconds, parts.launching.of_decodes(self.queries * int(mine)))

    def _mixed_step(self, parts: StepParts, batch: BatchShape, conditions: Conditions) -> float:
        micro = self.lowering.micro_batches(batch.sequences)
        total = parts.tokens(_one(_share(self._own(batch), micro))) + parts.rows(
            _one(_share(batch.sequences, micro))
        )
        if batch.decodes:
            mine, sums = self._largest(batch, micro, 1)
            total = total + parts.per_decode(_one(mine)) + np.sum(parts.decodes(_one(mine), sums), axis=0)
        shared = parts.shared(_share(self.ranks * batch.tokens, micro))
        seconds = float(total[0]) + parts.chunks(batch.chunks) / micro
        seconds += shared - self.hidden_mixed(batch.tokens, batch.sequences, seconds, conditions)
        return max(seconds, self.launched(parts, batch, micro))

    def _own(self, batch: BatchShape) -> int:
        """Tokens that one chip's rank computes."""
        return batch.own_tokens(self.deployment.parallel.pcp)

    def _largest(self, batch: BatchShape, micro: int, k: int) -> tuple[float, list[Array]]:
        """Decodes and sums of the largest micro-batch over k steps."""
        n = batch.decodes
        mine = float(_share(n, micro))
        steps = np.arange(k, dtype=np.float64)
        context = batch.context + n * steps
        sums = [context * (mine / n)]
        for w, windowed in zip(self.windows, batch.windowed, strict=True):
            sums.append(np.minimum(windowed + n * steps, np.minimum(n * w, context)) * (mine / n))
        return mine, sums


def _share(whole: int, micro: int) -> int:
    return -(-whole // micro)


def _one(value: float) -> Array:
    return np.array([float(value)])

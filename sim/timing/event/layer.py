"""One layer's kernels in the order an engine issues them, with what each waits for.

    norm, projections | attention, output, norm, router | dispatch, shared experts | experts, combine |
The bars are where a two-batch engine turns to its other micro-batch; nothing is issued between the last and
the next layer, but a turn goes by. Steps with prefill turn elsewhere: after dispatch, after combine (whose
time the shared experts then fill), and at the layer's end. The order is that of SGLang's two-batch operation
strategies for decode and prefill, after DeepSeek's profiles.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sim.hardware.cluster import Cluster
from sim.operators import LayerBlocks, Lowering, Operator, chunk_work
from sim.timing.event.job import Job, job
from sim.timing.rates import Rates
from sim.timing.step_timer import MicroBatch


@dataclass(frozen=True, slots=True)
class Task:
    """A kernel in its layer.

    Attributes:
        operator: one execution of it, `weights` of its cases.
        after: tasks of the layer it waits for; empty for what the layer before ended with.
        stage: part of the layer between two turns of a two-batch engine.
    """

    job: Job
    operator: Operator
    weights: tuple[float, ...]
    after: tuple[int, ...]
    stage: int


@dataclass(frozen=True, slots=True)
class LayerTasks:
    """Tasks in issue order, those of them that the next layer waits for, and the stages they are cut into."""

    tasks: tuple[Task, ...]
    exits: tuple[int, ...]
    stages: int


class Issuing:
    """Collects tasks, each behind the one before unless told otherwise."""

    def __init__(self, rates: Rates, cluster: Cluster) -> None:
        self._rates = rates
        self._cluster = cluster
        self.tasks: list[Task] = []
        self.stage = 0
        self.last: tuple[int, ...] = ()

    def add(
        self,
        operators: Sequence[Operator],
        weights: tuple[float, ...] = (1.0,),
        after: tuple[int, ...] | None = None,
    ) -> tuple[int, ...]:
        """Issues operators one behind the other, each once; returns the last one's place."""
        if after is not None:
            self.last = after
        for operator in operators:
            work = job(operator, weights, self._rates, self._cluster)
            once = replace(operator, count=1)
            self.tasks.append(Task(work, once, weights, self.last, self.stage))
            self.last = (len(self.tasks) - 1,)
        return self.last

    def done(self, exits: tuple[int, ...] | None = None) -> LayerTasks:
        """What was issued."""
        return LayerTasks(tuple(self.tasks), self.last if exits is None else exits, self.stage + 1)


def layer_tasks(
    lowering: Lowering, blocks: LayerBlocks, batch: MicroBatch, epoch: int, issuing: Issuing
) -> LayerTasks:
    """The kernels of one layer for one micro-batch."""
    decoding = not batch.chunks
    norm = lowering.norm(batch.tokens)
    ahead = -(-blocks.norms // 2)
    issuing.add([norm] * ahead)
    issuing.add(blocks.attention.before(batch.tokens))
    issuing.stage += decoding
    _attend(lowering, blocks, batch, issuing)
    issuing.add(blocks.attention.after(batch.tokens))
    issuing.add([norm] * (blocks.norms - ahead))
    for gate in blocks.gates:
        issuing.add(lowering.norm_gate(gate, 1, batch.tokens))
    return _feed_forward(blocks, batch, epoch, issuing, decoding)


def _attend(lowering: Lowering, blocks: LayerBlocks, batch: MicroBatch, issuing: Issuing) -> None:
    block = blocks.attention
    if batch.decodes[0] > 0:
        queries, read = lowering.queries, batch.sums[lowering.sum_read(block)]
        issuing.add(block.before_decodes(batch.decodes, queries))
        issuing.add(block.index_decodes(batch.decodes, batch.sums[0], queries))
        issuing.add(block.decodes(batch.decodes, read, queries))
        issuing.add(block.after_decodes(batch.decodes, queries))
    if batch.chunks:
        work, whole = chunk_work(batch.chunks, block.window), chunk_work(batch.chunks)
        issuing.add(block.chunks(work, whole), (1.0 / batch.of,))


def _feed_forward(
    blocks: LayerBlocks, batch: MicroBatch, epoch: int, issuing: Issuing, decoding: bool
) -> LayerTasks:
    own = blocks.ffn.tokens(batch.tokens)
    routed = blocks.ffn.shared(batch.routed, np.array(batch.routed, np.float64), epoch)
    if not routed:
        issuing.add(own)
        return issuing.done()
    gate = issuing.add([operator for operator in own if operator.group == "router"])
    shared = [operator for operator in own if operator.group != "router"]
    experts, *exchange = routed
    if not exchange or exchange[0].name != "dispatch":
        issuing.add(shared)
        issuing.add([experts, *exchange], batch.weights)
        return issuing.done()
    issuing.stage += decoding
    dispatched = issuing.add(exchange[:1], batch.weights)
    beside = issuing.add(shared, after=gate) if decoding else gate
    issuing.stage += 1
    issuing.add([experts], batch.weights, after=dispatched)
    combined = issuing.add(exchange[1:], batch.weights)
    issuing.stage += 1
    if not decoding:
        beside = issuing.add(shared, after=gate)
    return issuing.done((*combined, *beside) if shared else combined)

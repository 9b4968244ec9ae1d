"""The timer of the event fidelity.

`explain` simulates the step. `durations` adds up what its operators take alone, which is the same where one
stream issues them one behind the other, and subtracts what overlapping streams hide (hiding.py), that of the
copies which prefetch weights included.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from sim.deployment.deployment import Deployment
from sim.operators import DRAFT, BatchShape
from sim.operators.quantities import Array
from sim.timing.breakdown import Row, host_row, operator_rows, step_breakdown, times_row
from sim.timing.event.critical import critical_path
from sim.timing.event.halves import halved
from sim.timing.event.hiding import HiddenTime
from sim.timing.event.layer import Issuing, LayerTasks, Task, layer_tasks
from sim.timing.event.observed import timeline
from sim.timing.event.pricer import EventPricer
from sim.timing.event.program import LEAD, Layers, Program, program
from sim.timing.event.repetition import repetition, simulated_layers
from sim.timing.event.simulation import run
from sim.timing.pricer import Pricer
from sim.timing.rates import Rates
from sim.timing.step_timer import MicroBatch, PartsTimer
from sim.timing.timeline import CriticalSpan, StepTimeline
from sim.timing.timer import CALM, Bound, Conditions, OperatorTime, StepBreakdown

CYCLES = 3
"""Repeated layers are simulated so often where streams overlap: by the third, micro-batches are in step."""


class EventTimer(PartsTimer):
    """Times the steps of one deployment at event fidelity.

    Args:
        whole_model: simulate every layer, also where layers repeat.
    """

    def __init__(self, deployment: Deployment, whole_model: bool = False) -> None:
        super().__init__(deployment, "event")
        self._whole_model = whole_model
        self._repeated = repetition(deployment.model.layers)
        self._hiding: dict[Conditions, HiddenTime] = {}

    def pricer(self, chip: Rates) -> Pricer:
        """Operators as they run alone."""
        return EventPricer(chip, self.deployment.cluster)

    def hidden_decodes(self, decodes: int, mean_contexts: Array, conditions: Conditions = CALM) -> Array:
        """What overlapping streams hide of decode-only steps."""
        if self._adds_up:
            return np.zeros_like(mean_contexts)
        hidden = self._hidden_time(conditions)
        return np.array([hidden.decodes(decodes, mean) for mean in mean_contexts.tolist()])

    def hidden_mixed(
        self, tokens: int, sequences: int, seconds: float, conditions: Conditions = CALM
    ) -> float:
        """What overlapping streams hide of a step with prefill."""
        return 0.0 if self._adds_up else self._hidden_time(conditions).mixed(tokens)

    def _hidden_time(self, conditions: Conditions) -> HiddenTime:
        if conditions not in self._hiding:
            most = self.deployment.engine.max_num_batched_tokens
            hidden = partial(self._hidden, conditions=conditions)
            self._hiding[conditions] = HiddenTime(hidden, self.windows, self.queries, most)
        return self._hiding[conditions]

    def _hidden(self, batch: BatchShape, conditions: Conditions) -> float:
        """Kernels of the whole batch one behind the other, less the step as simulated."""
        chip, whole = self.rates(conditions), self.micro_batch(batch)
        serial = self._program([whole], whole, chip, conditions.epoch)
        todo = self._program(self._micro_batches(batch), whole, chip, conditions.epoch)
        simulated = run(todo, self._one_stream)
        since, until = (simulated.ran[mark].end for mark in todo.cycle)
        return (
            sum(issue.job.alone * issue.times for issue in serial.issues)
            - simulated.end
            - todo.repeats * (until - since)
        )

    def breakdown(self, batch: BatchShape, conditions: Conditions = CALM) -> StepBreakdown:
        """The step operator by operator, simulated only where that makes a difference."""
        return super().explain(batch, conditions) if self._adds_up else self.explain(batch, conditions)

    def explain(self, batch: BatchShape, conditions: Conditions = CALM) -> StepBreakdown:
        """The step as simulated; an operator's time is its share of the critical path."""
        chip = self.rates(conditions)
        whole = self.micro_batch(batch)
        todo = self._program(self._micro_batches(batch), whole, chip, conditions.epoch)
        simulated = run(todo, self._one_stream)
        critical = critical_path(todo, simulated)
        critical = [_idle(span, 1.0 - whole.of / self.deployment.parallel.pp) for span in critical]
        host = self._host(batch, whole, critical, simulated.end, conditions)
        listed = self._rows(todo, chip, conditions)
        listed += [host_row(span.operator, span.end - span.start, "event") for span in host]
        shown = timeline(todo, simulated, critical, host, len(self.deployment.model.layers))
        return _on_the_path(step_breakdown(batch, listed), [*critical, *host], shown)

    def _program(self, halves: Sequence[MicroBatch], whole: MicroBatch, chip: Rates, epoch: int) -> Program:
        layers = self.deployment.model.layers
        cycles = self._repeated.times if self._whole_model else 1 if self._adds_up else CYCLES
        simulated, left_out = simulated_layers(len(layers), self._repeated, cycles)
        end = self._repeated.start + min(cycles, self._repeated.times) * self._repeated.period
        counted = range(end - self._repeated.period, end)
        kinds = self.lowering.kinds()

        def issued(half: MicroBatch) -> Layers:
            tasks = {
                layer: layer_tasks(self.lowering, kinds[layer], half, epoch, self._issuing(chip))
                for layer in dict.fromkeys(layers[i] for i in simulated)
            }
            times = [1 + left_out if i in counted else 1 for i in simulated]
            return Layers(tuple((i, tasks[layers[i]], n) for i, n in zip(simulated, times, strict=True)))

        return program(
            self._first(whole, chip),
            [issued(half) for half in halves],
            self._last(whole, chip, epoch),
            0 if whole.chunks else LEAD,
            (counted.start, counted.stop),
            left_out,
        )

    @property
    def _one_stream(self) -> bool:
        """Whether communication is issued behind computation."""
        return self.deployment.overlap == "none"

    @property
    def _adds_up(self) -> bool:
        """Whether a step is the sum of its kernels: one stream, and no weights drawn before their product."""
        return self._one_stream and not self.rates(CALM).prefetches

    def _micro_batches(self, batch: BatchShape) -> list[MicroBatch]:
        halves = halved(batch) if self.deployment.overlap == "two-batch" else None
        return [self.micro_batch(half) for half in halves or (batch,)]

    def _issuing(self, chip: Rates) -> Issuing:
        return Issuing(chip, self.deployment.cluster)

    def _first(self, whole: MicroBatch, chip: Rates) -> LayerTasks:
        issuing = self._issuing(chip)
        issuing.add(self.lowering.embedding(whole.tokens))
        return issuing.done()

    def _last(self, whole: MicroBatch, chip: Rates, epoch: int) -> LayerTasks:
        """Hops between stages, head, and the drafts of the next step."""
        issuing = self._issuing(chip)
        issuing.add(self.lowering.hops(whole.tokens))
        for operator in self.lowering.rows(whole.sequences):
            issuing.add([operator] * operator.count if operator.group != DRAFT else [])
        for operators, weights in self.operators(whole, epoch):
            for operator in operators:
                issuing.add([operator] * operator.count if operator.group == DRAFT else [], weights)
        return issuing.done()

    def _host(
        self,
        batch: BatchShape,
        whole: MicroBatch,
        critical: Sequence[CriticalSpan],
        start: float,
        conditions: Conditions,
    ) -> list[CriticalSpan]:
        """The host after the device, and what it has not launched by then."""
        parts = self.parts(conditions)
        after = float(parts.host(whole.sequences)[0])
        spans = [_host_span("host", start, after)] if after > 0.0 else []
        device = sum((span.end - span.start) * span.times for span in critical)
        waited = self.launched(parts, batch, whole.of) - device - after
        if waited > 0.0:
            spans.append(_host_span("kernel_launches", start + after, waited))
        return spans

    def _rows(self, todo: Program, chip: Rates, conditions: Conditions) -> list[Row]:
        """A row for each task, as often as the step runs it."""
        pricer, cluster = self.parts(conditions).pricer, self.deployment.cluster
        tasks: dict[int, tuple[Task, int]] = {}
        for issue in todo.issues:
            task, times = tasks.get(id(issue.task), (issue.task, 0))
            tasks[id(task)] = task, times + issue.times
        rows: list[Row] = []
        for task, times in tasks.values():
            (row,) = operator_rows([task.operator], task.weights, pricer, chip, cluster)
            rows.append(times_row(row, times))
        return rows


def _host_span(name: str, start: float, seconds: float) -> CriticalSpan:
    return CriticalSpan(name, "host", -1, 0, start, start + seconds, 1, {"host": seconds})


def _idle(span: CriticalSpan, idle: float) -> CriticalSpan:
    """The span where a pipeline stage is without a micro-batch for a share `idle` of it."""
    if idle <= 0.0:
        return span
    parts: dict[Bound, float] = {cause: seconds * (1.0 - idle) for cause, seconds in span.parts.items()}
    return replace(span, parts=parts | {"bubble": (span.end - span.start) * idle})


def _on_the_path(step: StepBreakdown, path: Sequence[CriticalSpan], shown: StepTimeline) -> StepBreakdown:
    """The breakdown with each operator's share of the critical path as its time."""
    parts: dict[tuple[str, str], dict[Bound, float]] = {}
    for span in path:
        mine = parts.setdefault((span.operator, span.group), {})
        for cause, seconds in span.parts.items():
            mine[cause] = mine.get(cause, 0.0) + seconds * span.times
    operators = tuple(_exclusive(o, parts.get((o.name, o.group), {})) for o in step.operators)
    total = sum(operator.time for operator in operators)
    return replace(step, operators=operators, total=total, timeline=shown)


def _exclusive(operator: OperatorTime, parts: dict[Bound, float]) -> OperatorTime:
    """An operator that others hide altogether keeps what bounds it, and takes no time."""
    whole, link = sum(operator.levels.values()), parts.get("link", 0.0)
    return replace(
        operator,
        time=sum(parts.values()),
        parts=parts,
        bound=max(parts, key=lambda cause: parts[cause]) if parts else operator.bound,
        levels={t: taken * link / whole for t, taken in operator.levels.items()} if link > 0.0 else {},
    )

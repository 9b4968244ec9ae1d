"""A whole step as kernels in issue order: embedding, layers of one or two micro-batches, head.

Two micro-batches take turns: the first runs `LEAD` stages ahead where only decodes are computed, none where
prompts are, then one stage of each follows the other (sim.timing.event.layer says what a stage is).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sim.timing.event.job import Job
from sim.timing.event.layer import LayerTasks, Task

LEAD = 2
"""Stages that the first of two micro-batches of decodes is ahead: a dispatch of one then flies beside the
projections of the other, a combine beside its attention."""


@dataclass(frozen=True, slots=True)
class Issue:
    """One kernel to run.

    Attributes:
        layer: index in the model, -1 before and after the layers; batch: micro-batch.
        after: issues it waits for, beside its stream's order; times: how often the step runs it.
    """

    task: Task
    layer: int
    batch: int
    after: tuple[int, ...]
    times: int

    @property
    def job(self) -> Job:
        """Its work."""
        return self.task.job


@dataclass(frozen=True, slots=True)
class Program:
    """Issues in order.

    Attributes:
        cycle: issues whose ends mark the beginning and the end of the last cycle simulated.
        repeats: further cycles that take as long as that.
    """

    issues: tuple[Issue, ...]
    cycle: tuple[int, int]
    repeats: int


@dataclass(frozen=True, slots=True)
class Layers:
    """Layers to be issued for one micro-batch, each as (index in the model, tasks, times)."""

    layers: tuple[tuple[int, LayerTasks, int], ...]


def program(
    first: LayerTasks,
    batches: Sequence[Layers],
    last: LayerTasks,
    lead: int,
    cycle: tuple[int, int],
    repeats: int,
) -> Program:
    """Puts a step together.

    Args:
        cycle: (start, end) places, in the list of layers, of the last cycle simulated.
    """
    building = _Building()
    building.layer(first, -1, 0, 1, ())
    entry = tuple(building.exits[-1])
    stages = [_stages(batch) for batch in batches]
    progress = [_Progress(entry) for _ in batches]
    for batch, stage in _turns([len(one) for one in stages], lead):
        building.stage(stages[batch][stage], batch, progress[batch])
    everything = tuple(place for one in progress for place in one.ended[-1])
    building.layer(last, -1, 0, 1, everything)
    marks = (entry, *progress[0].ended)
    return Program(tuple(building.issues), (max(marks[cycle[0]]), max(marks[cycle[1]])), repeats)


def _turns(lengths: Sequence[int], lead: int) -> list[tuple[int, int]]:
    """(micro-batch, stage) in issue order."""
    if len(lengths) == 1:
        return [(0, stage) for stage in range(lengths[0])]
    turns = [(0, stage) for stage in range(min(lead, lengths[0]))]
    for stage in range(max(lengths)):
        turns += [(0, stage + lead)] if stage + lead < lengths[0] else []
        turns += [(1, stage)] if stage < lengths[1] else []
    return turns


@dataclass(frozen=True, slots=True)
class _Stage:
    layer: int
    tasks: LayerTasks
    places: tuple[int, ...]
    times: int
    closes: bool


def _stages(batch: Layers) -> list[_Stage]:
    stages: list[_Stage] = []
    for layer, tasks, times in batch.layers:
        for number in range(tasks.stages):
            places = tuple(i for i, task in enumerate(tasks.tasks) if task.stage == number)
            stages.append(_Stage(layer, tasks, places, times, number == tasks.stages - 1))
    return stages


class _Progress:
    """How far a micro-batch is: issues its last layer ended with, and those of the layer under way."""

    def __init__(self, entry: tuple[int, ...]) -> None:
        self.entry = entry
        self.ended: list[tuple[int, ...]] = []
        self.issued: dict[int, int] = {}


class _Building:
    def __init__(self) -> None:
        self.issues: list[Issue] = []
        self.exits: list[tuple[int, ...]] = []

    def layer(self, tasks: LayerTasks, layer: int, batch: int, times: int, entry: tuple[int, ...]) -> None:
        """All of a layer at once."""
        progress = _Progress(entry)
        stage = _Stage(layer, tasks, tuple(range(len(tasks.tasks))), times, True)
        self.stage(stage, batch, progress)
        self.exits.append(progress.ended[-1])

    def stage(self, stage: _Stage, batch: int, progress: _Progress) -> None:
        """One stage of a micro-batch."""
        for place in stage.places:
            task = stage.tasks.tasks[place]
            after = tuple(progress.issued[p] for p in task.after) or progress.entry
            progress.issued[place] = len(self.issues)
            self.issues.append(Issue(task, stage.layer, batch, after, stage.times))
        if stage.closes:
            ended = tuple(progress.issued[p] for p in stage.tasks.exits)
            progress.ended.append(ended)
            progress.entry, progress.issued = ended, {}

"""The engines of one chip, its memory and its links inside a SimPy environment, and kernels running on them.

Each engine, HBM and each fabric tier does one second of work a second, shared max-min fairly among what is
on it (sim.network.flows): what moves data, by the second of HBM's bandwidth that it takes. A pass sends its
slices through HBM, matrix engines and vector engines, one behind the other; its loader runs at most `BUFFERS`
slices ahead of the matrix engines, which is what the cores' memory holds. Where it holds more, a copy stream
draws the first weights of the next product as soon as the loader before it is done.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field

import simpy

from sim.network.simulated import SimulatedLinks
from sim.timing.event.job import HBM, Job, Sliced
from sim.timing.timer import Bound

BUFFERS = 2
"""Slices a core's memory holds: one at work, one arriving."""
MATRIX, VECTOR = "matrix engines", "vector engines"
Process = Generator[simpy.Event, object, None]


@dataclass(slots=True)
class Stage:
    """What one engine did for one pass: begin and end of every slice (s), seconds of work in each."""

    track: str
    work: float
    begin: list[float] = field(default_factory=list[float])
    end: list[float] = field(default_factory=list[float])


@dataclass(slots=True)
class Ran:
    """One execution of a job: when, on which engines, and what its critical path consists of (s).

    Attributes:
        drained: happens when its last slice has arrived; early: happen when the slices drawn before its
            start have, at the times `drawn`.
    """

    job: Job
    start: float
    drained: simpy.Event
    early: tuple[simpy.Event, ...] = ()
    drawn: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    end: float = 0.0
    stages: list[tuple[Stage, ...]] = field(default_factory=list[tuple[Stage, ...]])
    parts: dict[Bound, float] = field(default_factory=dict[Bound, float])

    def add(self, part: Bound, seconds: float) -> None:
        """Adds to a part of the critical path."""
        self.parts[part] = self.parts.get(part, 0.0) + seconds


class SimulatedChip:
    """One chip's engines, HBM and links.

    Attributes:
        env: the environment; tracks: names of what can be busy.
    """

    def __init__(self, env: simpy.Environment, tiers: Sequence[str]) -> None:
        self.env = env
        self.tracks = (MATRIX, VECTOR, HBM, *tiers)
        self._place = {track: place for place, track in enumerate(self.tracks)}
        self._engines = SimulatedLinks(env, [1.0] * len(self.tracks))

    def run(self, ran: Ran) -> Process:
        """Runs a job from now to its end and notes what it did."""
        job, env = ran.job, self.env
        if job.launch > 0.0:
            yield env.timeout(job.launch)
            ran.add("launch", job.launch)
        drawing = [place for place, sliced in enumerate(job.passes) if sliced.memory > 0.0]
        if not drawing:
            ran.drained.succeed()
        for place, sliced in enumerate(job.passes):
            began, early = env.now, 0 if place else len(ran.early)
            stages = self._stages(sliced)
            if stages:
                finished = [[env.event() for _ in range(sliced.slices)] for _ in stages]
                if early:
                    env.process(self._receive(ran, stages[0], finished[0]))
                for k in range(len(stages)):
                    env.process(self._work(stages, finished, k, sliced, 0 if k else early))
                if place == max(drawing, default=-1):
                    yield finished[0][-1]
                    ran.drained.succeed()
                yield finished[-1][-1]
                ran.stages.append(stages)
                _attribute(ran, stages, began)
        if job.transfer is not None:
            yield from self._move(ran)
        ran.end = env.now

    def draw(self, ran: Ran) -> Process:
        """The copy stream: draws the slices of a job that come before its start."""
        sliced = ran.job.passes[0]
        for arrived in ran.early:
            began = self.env.now
            yield self._draw(sliced)
            ran.drawn.append((began, self.env.now))
            arrived.succeed()

    def _receive(self, ran: Ran, stage: Stage, finished: list[simpy.Event]) -> Process:
        """Hands the slices drawn early to the engines."""
        for arrived, (place, event) in zip(ran.early, enumerate(finished), strict=False):
            yield arrived
            stage.begin.append(ran.drawn[place][0])
            stage.end.append(ran.drawn[place][1])
            event.succeed()

    def _draw(self, sliced: Sliced) -> simpy.Event:
        """One slice out of HBM, at most at the kernel's own rate."""
        unit = sliced.bus / sliced.memory
        return self._engines.transfer({self._place[HBM]: 1.0}, sliced.bus / sliced.slices, unit)

    def _move(self, ran: Ran) -> Process:
        env, transfer = self.env, ran.job.transfer
        assert transfer is not None
        began = env.now
        if transfer.latency > 0.0:
            yield env.timeout(transfer.latency)
        if transfer.seconds > 0.0:
            moving = env.now
            unit = transfer.shares[HBM] or 1.0
            shares = {track: share for track, share in transfer.shares.items() if share > 0.0}
            held = dict.fromkeys((MATRIX, VECTOR), transfer.cores) if transfer.cores else {}
            uses = {self._place[track]: share / unit for track, share in (shares | held).items()}
            yield self._engines.transfer(uses, transfer.seconds * unit, unit)
            ran.stages.append(
                tuple(Stage(t, share * transfer.seconds, [moving], [env.now]) for t, share in shares.items())
            )
        ran.add("link", env.now - began)

    def _stages(self, sliced: Sliced) -> tuple[Stage, ...]:
        works = ((HBM, sliced.memory), (MATRIX, sliced.matrix), (VECTOR, sliced.vector))
        return tuple(Stage(track, seconds) for track, seconds in works if seconds > 0.0)

    def _work(
        self,
        stages: tuple[Stage, ...],
        finished: list[list[simpy.Event]],
        k: int,
        sliced: Sliced,
        early: int,
    ) -> Process:
        """One engine's slices of a pass, but for `early` drawn already: each follows the engine before, the
        first engine needs a free buffer."""
        stage, env = stages[k], self.env
        place, each = self._place[stage.track], stage.work / sliced.slices
        if early:
            yield finished[k][early - 1]
        for i in range(early, sliced.slices):
            if k > 0:
                yield finished[k - 1][i]
            elif i >= BUFFERS and len(stages) > 1:
                yield finished[1][i - BUFFERS]
            stage.begin.append(env.now)
            if stage.track == HBM:
                yield self._draw(sliced)
            else:
                yield self._engines.transfer({place: 1.0}, each, 1.0)
            stage.end.append(env.now)
            finished[k][i].succeed()


def _attribute(ran: Ran, stages: tuple[Stage, ...], began: float) -> None:
    """Walks back from the pass's last slice to what each slice waited for: the same engine's slice before,
    the slice's engine before, or the buffer that it needed."""
    k, i = len(stages) - 1, len(stages[0].end) - 1
    at = stages[k].end[i]
    while at > began:
        stage = stages[k]
        since = max(stage.begin[i], began)
        ran.add("hbm" if stage.track == HBM else "compute", at - since)
        at = since
        before = [(k, i - 1)] if i else []
        if k > 0:
            before.append((k - 1, i))
        elif i >= BUFFERS and len(stages) > 1:
            before.append((1, i - BUFFERS))
        if not before:
            break
        k, i = max(before, key=lambda place: stages[place[0]].end[place[1]])

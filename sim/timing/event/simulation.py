"""Running a program on the simulated chip: each stream takes its kernels in issue order.

The copy stream of a chip that prefetches (`Job.ahead`) is a process beside each stream.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import simpy

from sim.timing.event.chip import Process, Ran, SimulatedChip
from sim.timing.event.program import Issue, Program


@dataclass(frozen=True, slots=True)
class Simulated:
    """What a program did.

    Attributes:
        ran: each issue, in issue order; cause: the issue whose end each waited for last, -1 for none.
        tracks: engines, HBM and tiers.
    """

    ran: tuple[Ran, ...]
    cause: tuple[int, ...]
    tracks: tuple[str, ...]

    @property
    def end(self) -> float:
        """Seconds."""
        return max(one.end for one in self.ran)


def run(program: Program, one_stream: bool) -> Simulated:
    """Runs a program.

    Args:
        one_stream: communication is issued in the stream of computation, so nothing overlaps it.
    """
    env = simpy.Environment()
    chip = SimulatedChip(env, _tiers(program.issues))
    ran = [Ran(issue.job, 0.0, env.event()) for issue in program.issues]
    done = [env.event() for _ in ran]
    cause = [-1] * len(ran)

    def stream(places: Sequence[int]) -> Process:
        previous = -1
        for place in places:
            waited = list(program.issues[place].after)
            for other in waited:
                yield done[other]
            if previous >= 0:
                waited.append(previous)
            ran[place].start = env.now
            if waited:
                cause[place] = max(waited, key=lambda other: ran[other].end)
            yield from chip.run(ran[place])
            done[place].succeed()
            previous = place

    def copies(places: Sequence[int]) -> Process:
        for before, place in pairwise(places):
            if ran[place].early:
                yield ran[before].drained
                yield from chip.draw(ran[place])

    for places in _streams(program.issues, one_stream):
        for place in places[1:]:
            ran[place].early = tuple(env.event() for _ in range(ran[place].job.ahead))
        env.process(stream(places))
        env.process(copies(places))
    env.run()
    return Simulated(tuple(ran), tuple(cause), chip.tracks)


def _streams(issues: Sequence[Issue], one_stream: bool) -> list[list[int]]:
    everything = list(range(len(issues)))
    if one_stream:
        return [everything]
    talking = [place for place in everything if issues[place].job.lane == "communication"]
    return [[place for place in everything if issues[place].job.lane != "communication"], talking]


def _tiers(issues: Sequence[Issue]) -> tuple[str, ...]:
    """Fabric tiers in order of appearance."""
    tiers: dict[str, None] = {}
    for issue in issues:
        if issue.job.transfer is not None:
            tiers.update(dict.fromkeys(track for track in issue.job.transfer.shares if track != "HBM"))
    return tuple(tiers)

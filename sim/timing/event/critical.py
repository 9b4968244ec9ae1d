"""The critical path of a simulated step: walking back from its end to what each kernel waited for last.

A kernel starts the moment the last thing it waited for ends, so the path has no gap. A kernel that starts
before the mark of the last cycle simulated and ends behind it is split there, in proportion.
"""

from collections.abc import Mapping
from itertools import pairwise

from sim.timing.event.program import Program
from sim.timing.event.simulation import Simulated
from sim.timing.timeline import CriticalSpan
from sim.timing.timer import Bound


def critical_path(program: Program, simulated: Simulated) -> list[CriticalSpan]:
    """Spans from 0 to the simulated end, by start; those of the last cycle count for the repeated ones."""
    since, until = (simulated.ran[mark].end for mark in program.cycle)
    spans: list[CriticalSpan] = []
    place = max(range(len(simulated.ran)), key=lambda i: simulated.ran[i].end)
    while place >= 0:
        issue, ran = program.issues[place], simulated.ran[place]
        cuts = sorted({ran.start, ran.end, *(t for t in (since, until) if ran.start < t < ran.end)})
        parts = _with_imbalance(ran.parts, issue.job.imbalance)
        for start, end in reversed(list(pairwise(cuts))):
            share = (end - start) / (ran.end - ran.start)
            times = 1 + program.repeats if since <= start and end <= until else 1
            mine: dict[Bound, float] = {cause: seconds * share for cause, seconds in parts.items()}
            spans.append(
                CriticalSpan(
                    issue.job.operator, issue.job.group, issue.layer, issue.batch, start, end, times, mine
                )
            )
        place = simulated.cause[place]
    spans.reverse()
    return spans


def _with_imbalance(parts: Mapping[Bound, float], share: float) -> dict[Bound, float]:
    """Of cores and memory, the part in which the mean rank waits for the slowest."""
    if share <= 0.0:
        return dict(parts)
    divided: dict[Bound, float] = {
        cause: seconds * (1.0 - share) if cause in ("compute", "hbm") else seconds
        for cause, seconds in parts.items()
    }
    divided["imbalance"] = share * (parts.get("compute", 0.0) + parts.get("hbm", 0.0))
    return divided

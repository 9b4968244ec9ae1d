"""The engine against recorded decisions of the real vLLM scheduler, step by step and exactly."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from sim.validation.conformance_case import Case, Row, read_case
from sim.validation.conformance_replay import replay
from sim.version import __version__


@dataclass(frozen=True, slots=True)
class Difference:
    """Where a case first differs: at a step, or after the steps in a request's result (step None)."""

    case: str
    step: int | None
    what: str


@dataclass(frozen=True, slots=True)
class SchedulerReport:
    """How many cases were replayed, how many are identical, and the first difference of each other one."""

    cases: int
    identical: int
    differing: tuple[Difference, ...]

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        differing = [asdict(d) for d in self.differing]
        return {
            "version": __version__,
            "cases": self.cases,
            "identical": self.identical,
            "differing": differing,
        }


def validate_scheduler(files: Sequence[Path]) -> SchedulerReport:
    """Replay each trace twice, taking every call on its own and leaping, and compare every number.

    Raises:
        UserError: for a file that is not a scheduler trace.
    """
    differing: list[Difference] = []
    for path in files:
        case = read_case(path)
        for step_by_step in (True, False):
            difference = compare(case, step_by_step=step_by_step)
            if difference is not None:
                differing.append(difference)
                break
    return SchedulerReport(len(files), len(files) - len(differing), tuple(differing))


def compare(case: Case, *, step_by_step: bool) -> Difference | None:
    """The first difference between a recorded case and our engine's replay of it.

    The number of distinct cached blocks is compared where every call is taken on its own; a leap keeps no
    such number for the steps inside it.
    """
    steps, results, end = replay(case, step_by_step=step_by_step, most=len(case.steps) + 1)
    mode = "step by step" if step_by_step else "leaping"
    for index, (recorded, ours) in enumerate(zip(case.steps, steps, strict=False)):
        what = _fields(recorded, ours, () if step_by_step else ("n_cached",))
        if what:
            return Difference(case.name, index, f"{mode}: {what}")
    if len(steps) != len(case.steps):
        what = f"recorded {len(case.steps)} steps, simulated {len(steps)}"
        return Difference(case.name, min(len(steps), len(case.steps)), f"{mode}: {what}")
    for request, (recorded, ours) in enumerate(zip(case.results, results, strict=True)):
        what = _fields(recorded, ours, ())
        if what:
            return Difference(case.name, None, f"{mode}: request {request}: {what}")
    if end != case.end_reason:
        return Difference(case.name, None, f"{mode}: recorded end '{case.end_reason}', simulated '{end}'")
    return None


def _fields(recorded: Row, ours: Row, ignored: tuple[str, ...]) -> str:
    return "; ".join(
        f"{name}: recorded {value}, simulated {ours.get(name)}"
        for name, value in recorded.items()
        if name not in ignored and value != ours.get(name)
    )

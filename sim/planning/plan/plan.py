"""A capacity plan: screen every layout, rank by estimate, simulate the best to their knee, confirm."""

import math
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

from sim.errors import UserError
from sim.planning.executors import Executor, make_executor
from sim.planning.plan.budget import Affordable, Budget, affordable, parse_budget
from sim.planning.plan.candidate import Candidate, answered
from sim.planning.plan.certainty import certainties
from sim.planning.plan.choose import Run, Share, attempted, fleet_option
from sim.planning.plan.cost import fleet_bill
from sim.planning.plan.knee import Knee, KneeTask, find_knee
from sim.planning.plan.launch import launch_commands
from sim.planning.plan.option import Option
from sim.planning.plan.question import Question
from sim.planning.plan.replica import replica, unit_scenario
from sim.planning.plan.result import PlanResult, Rejected, Searched, runner_up_needs
from sim.planning.plan.schema import PlanSpec, read_plan
from sim.planning.plan.split import splits
from sim.planning.plan.trial import Replica, Trial
from sim.planning.plan.unit import Unit
from sim.planning.uncertainty.spread import FEWEST

CONFIRMED = 2
"""Fleets of each candidate and kind of pools that are confirmed by replications."""
MOST_OVER = 2.0
"""A replica's knee is looked for up to so many times the whole load: beyond it one replica is plenty."""

Progress = Callable[[int, int], None]


def _silent(_done: int, _total: int) -> None:
    pass


@dataclass(frozen=True, slots=True)
class _Contender:
    """A unit to be simulated; `group`: those it competes with for being confirmed."""

    group: str
    unit: Unit
    replica: Replica


def plan(
    path: str | Path,
    *,
    uncertainty: int = 0,
    budget: str | None = None,
    backend: str | None = None,
    workers: int | None = None,
    progress: Progress = _silent,
) -> PlanResult:
    """Answers a capacity question.

    Args:
        path: the plan file.
        uncertainty: draws of what is uncertain, for bands on the costs and on the ranking; 0: none.
        budget: in place of the file's.
        backend, workers: where runs are made, as of `sim.sweep`.
        progress: called with (searches done, searches in all).
    Raises:
        UserError: for a faulty question, or one that no candidate can serve.
    """
    path = Path(path)
    spec = read_plan(path)
    if budget is not None:
        spec = spec.model_copy(update={"budget": budget})
    if 0 < uncertainty < FEWEST:
        raise UserError(f"--uncertainty {uncertainty}: at least {FEWEST} draws are needed")
    with closing(make_executor(backend, workers)) as executor:
        return run_plan(spec, path.parent, path.name, executor, progress, uncertainty)


def run_plan(
    spec: PlanSpec,
    base: Path,
    name: str,
    executor: Executor,
    progress: Progress = _silent,
    samples: int = 0,
) -> PlanResult:
    """Answers a question that has been read."""
    budget = parse_budget(spec.budget, spec.money) if spec.budget else None
    questions = [Question(spec, chosen, base, name) for chosen in spec.clusters]
    with closing(executor.results(answered, questions)) as found:
        by_name = {c.name: c for c in found}
    candidates = [by_name[chosen.name] for chosen in spec.clusters]
    groups = _groups(spec, candidates)
    contenders = {
        f"{group}#{i}": _Contender(group, unit, replica(spec, by_name, unit, f"{group}#{i}"))
        for group, units in groups.items()
        for i, unit in enumerate(units)
    }
    knees = _knees(spec, contenders, executor, progress)

    def run(shares: Sequence[Share]) -> list[Trial]:
        with closing(executor.results(attempted, shares)) as trials:
            return sorted(trials, key=lambda trial: trial.seed)

    options: list[Option] = []
    for group in groups:
        own = [contender for contender in contenders.values() if contender.group == group]
        options += _best_options(spec, by_name, own, knees, run)
    rejected = _rejected(spec, candidates, groups, options)
    if not options:
        raise UserError(
            f"{name}: no candidate serves {spec.rate:g} requests/s on {spec.max_chips} chips: "
            + "; ".join(f"{r.candidate}: {r.reason}" for r in rejected)
        )
    options.sort(key=lambda option: (option.usd_per_million.mean, -option.headroom))
    certainty = certainties(spec, by_name, options, samples, executor) if samples else ()
    winner = options[0].unit
    return PlanResult(
        name=name,
        spec=spec,
        options=tuple(options),
        rejected=tuple(rejected),
        searched=tuple(
            Searched(c.name, c.screening.looked_at, len(c.screening.kept), c.estimated, _simulated(groups, c))
            for c in candidates
        ),
        scenario=unit_scenario(spec, by_name, winner).changed(
            [f"workload.arrivals.rate={spec.rate / options[0].replicas!r}"]
        ),
        launch=launch_commands(winner),
        runner_up=runner_up_needs(spec, options),
        knees=knees,
        certainty=certainty,
        budget=() if budget is None else _affordable(spec, budget, contenders, knees),
    )


def _groups(spec: PlanSpec, candidates: Sequence[Candidate]) -> dict[str, list[Unit]]:
    """The units to be simulated, by whom they compete with: a candidate's alike, those of two candidates."""
    most = math.inf if spec.budget else spec.max_chips
    groups: dict[str, list[Unit]] = {}
    if "together" in spec.search.pools:
        groups |= {c.name: list(c.ranked) for c in candidates}
    if "apart" in spec.search.pools:
        groups |= {f"{c.name}, apart": splits(spec, [(c, c)], most) for c in candidates}
    if "mixed" in spec.search.pools:
        groups["mixed"] = splits(spec, list(permutations(candidates, 2)), most)
    return groups


def _simulated(groups: dict[str, list[Unit]], candidate: Candidate) -> int:
    """Units in which the candidate's chips were simulated."""
    return sum(
        any(pool.candidate == candidate.name for pool in unit.pools)
        for units in groups.values()
        for unit in units
    )


def _affordable(
    spec: PlanSpec, budget: Budget, contenders: dict[str, _Contender], knees: dict[str, Knee]
) -> tuple[Affordable, ...]:
    """The fleet of each candidate that serves most within the budget, the best first."""
    best: dict[str, Affordable] = {}
    for key, contender in contenders.items():
        found = affordable(spec, budget, contender.unit, knees[key])
        if found is not None and (found.candidate not in best or found.served > best[found.candidate].served):
            best[found.candidate] = found
    return tuple(sorted(best.values(), key=lambda fleet: -fleet.served))


def _knees(
    spec: PlanSpec, contenders: dict[str, _Contender], executor: Executor, progress: Progress
) -> dict[str, Knee]:
    most = MOST_OVER * spec.rate
    tasks = [
        KneeTask(
            contender.replica,
            guess=min(contender.unit.rate, most),
            most=min(contender.unit.bound, most),
            tolerance=spec.search.tolerance,
            seed=spec.seed,
        )
        for contender in contenders.values()
    ]
    knees: dict[str, Knee] = {}
    with closing(executor.results(find_knee, tasks)) as found:
        for knee in found:
            knees[knee.key] = knee
            progress(len(knees), len(tasks))
    return knees


def _best_options(
    spec: PlanSpec,
    candidates: dict[str, Candidate],
    own: Sequence[_Contender],
    knees: dict[str, Knee],
    run: Run,
) -> list[Option]:
    """The fleets of one group that promise to cost least, confirmed by replications."""

    def promised(contender: _Contender) -> tuple[float, int, float]:
        unit, each = contender.unit, knees[contender.replica.task.key].rate
        replicas = math.ceil(spec.rate / each - 1e-9)
        paid = fleet_bill(spec.money, unit, replicas).usd_per_hour
        return paid, replicas * unit.each, -replicas * each

    able = sorted((c for c in own if knees[c.replica.task.key].rate > 0), key=promised)
    found = (fleet_option(spec, candidates, c.unit, knees[c.replica.task.key], run) for c in able[:CONFIRMED])
    return [option for option in found if option is not None]


def _rejected(
    spec: PlanSpec,
    candidates: Sequence[Candidate],
    groups: dict[str, list[Unit]],
    options: Sequence[Option],
) -> list[Rejected]:
    """The candidates that cannot serve the load, and why."""
    served = {pool.candidate for option in options for pool in option.unit.pools}
    rejected: list[Rejected] = []
    for c in candidates:
        if c.name in served:
            continue
        if not c.screening.kept:
            most = max(c.screening.dropped, key=lambda reason: c.screening.dropped[reason], default="none")
            reason = f"no layout is possible, most often: {most}"
        elif not _simulated(groups, c):
            reason = f"by estimate no layout serves it on {spec.max_chips} chips"
        else:
            reason = "no simulated layout met what is asked"
        rejected.append(Rejected(c.name, reason))
    return rejected

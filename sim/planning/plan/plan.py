"""A capacity plan: screen every layout, rank by estimate, simulate the best to their knee, confirm."""

import math
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from sim.errors import UserError
from sim.planning.executors import Executor, make_executor
from sim.planning.money import billed_chips
from sim.planning.plan.budget import Affordable, Budget, affordable, parse_budget
from sim.planning.plan.candidate import Candidate, Question, Ranked, answered, replica
from sim.planning.plan.certainty import certainties
from sim.planning.plan.choose import Run, Share, attempted, fleet_option
from sim.planning.plan.knee import Knee, KneeTask, find_knee
from sim.planning.plan.launch import launch_commands
from sim.planning.plan.option import Option
from sim.planning.plan.result import PlanResult, Rejected, Searched, runner_up_needs
from sim.planning.plan.schema import PlanSpec, read_plan
from sim.planning.plan.trial import Replica, Trial
from sim.planning.uncertainty.spread import FEWEST

CONFIRMED = 2
"""Fleets of each candidate that are confirmed by replications."""
MOST_OVER = 2.0
"""A replica's knee is looked for up to so many times the whole load: beyond it one replica is plenty."""

Progress = Callable[[int, int], None]


def _silent(_done: int, _total: int) -> None:
    pass


@dataclass(frozen=True, slots=True)
class _Contender:
    candidate: Candidate
    ranked: Ranked
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
    contenders = {
        f"{c.name}#{i}": _Contender(c, ranked, replica(spec, c, ranked, f"{c.name}#{i}"))
        for c in candidates
        for i, ranked in enumerate(c.ranked)
    }
    knees = _knees(spec, contenders, executor, progress)

    def run(shares: Sequence[Share]) -> list[Trial]:
        with closing(executor.results(attempted, shares)) as trials:
            return sorted(trials, key=lambda trial: trial.seed)

    options: list[Option] = []
    for c in candidates:
        own = [contender for contender in contenders.values() if contender.candidate is c]
        options += _best_options(spec, own, knees, run)
    rejected = _rejected(spec, candidates, options)
    if not options:
        raise UserError(
            f"{name}: no candidate serves {spec.rate:g} requests/s on {spec.max_chips} chips: "
            + "; ".join(f"{r.candidate}: {r.reason}" for r in rejected)
        )
    options.sort(key=lambda option: (option.usd_per_million.mean, -option.headroom))
    certainty = certainties(spec, by_name, options, samples, executor) if samples else ()
    winner = options[0]
    chosen = next(c for c in candidates if c.name == winner.candidate)
    engine = chosen.template.engine
    return PlanResult(
        name=name,
        spec=spec,
        options=tuple(options),
        rejected=tuple(rejected),
        searched=tuple(
            Searched(c.name, c.screening.looked_at, len(c.screening.kept), c.estimated, len(c.ranked))
            for c in candidates
        ),
        scenario=chosen.scenario.changed(winner.sets),
        launch=launch_commands(
            chosen.template.model.name,
            winner.ranked.screened.layout,
            engine.gpu_memory_utilization,
            engine.block_size,
        ),
        runner_up=runner_up_needs(spec, options),
        knees=knees,
        certainty=certainty,
        budget=() if budget is None else _affordable(spec, budget, contenders, knees),
    )


def _affordable(
    spec: PlanSpec, budget: Budget, contenders: dict[str, _Contender], knees: dict[str, Knee]
) -> tuple[Affordable, ...]:
    """The fleet of each candidate that serves most within the budget, the best first."""
    best: dict[str, Affordable] = {}
    for key, contender in contenders.items():
        found = affordable(spec, budget, contender.candidate, contender.ranked, knees[key])
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
            guess=min(contender.ranked.estimate.rate, most),
            most=min(contender.ranked.screened.rate, most),
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
    spec: PlanSpec, own: Sequence[_Contender], knees: dict[str, Knee], run: Run
) -> list[Option]:
    """The fleets of one candidate that pay for the fewest chips, confirmed by replications."""

    def promised(contender: _Contender) -> tuple[int, int, float]:
        each = knees[contender.replica.task.key].rate
        replicas = math.ceil(spec.rate / each - 1e-9)
        chips = replicas * contender.ranked.screened.layout.parallel.chips
        paid = billed_chips(spec.money, chips, contender.candidate.template.cluster.server)
        return paid, chips, -replicas * each

    able = sorted((c for c in own if knees[c.replica.task.key].rate > 0), key=promised)
    found = (
        fleet_option(spec, c.candidate, c.ranked, c.replica, knees[c.replica.task.key], run)
        for c in able[:CONFIRMED]
    )
    return [option for option in found if option is not None]


def _rejected(spec: PlanSpec, candidates: Sequence[Candidate], options: Sequence[Option]) -> list[Rejected]:
    """The candidates that cannot serve the load, and why."""
    served = {option.candidate for option in options}
    rejected: list[Rejected] = []
    for c in candidates:
        if c.name in served:
            continue
        if not c.screening.kept:
            most = max(c.screening.dropped, key=lambda reason: c.screening.dropped[reason], default="none")
            reason = f"no layout is possible, most often: {most}"
        elif not c.ranked:
            reason = f"by estimate no layout serves it on {spec.max_chips} chips"
        else:
            reason = "no simulated layout met what is asked"
        rejected.append(Rejected(c.name, reason))
    return rejected

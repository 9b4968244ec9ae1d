"""A sensitivity study of a scenario: one output, and what moves it, by one of four methods."""

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Literal, get_args

import numpy as np

from sim.errors import UserError, unknown
from sim.figures import HIGH_END, LOW_END
from sim.planning.evaluate import Task
from sim.planning.executors import Executor, make_executor
from sim.planning.identity import canonical
from sim.planning.outputs import BY_NAME, Output
from sim.planning.uncertainty.elasticity import FURTHER, MORE, Elasticity, elasticity, resources, tasks
from sim.planning.uncertainty.factors import factors, task_at
from sim.planning.uncertainty.sensitivity import Bar, Effect, Floats, Share, morris, sobol, tornado
from sim.planning.uncertainty.spread import ranges, runs
from sim.scenario.scenario import Scenario
from sim.version import __version__

Method = Literal["tornado", "morris", "sobol", "elasticity"]
METHODS: tuple[str, ...] = get_args(Method)


@dataclass(frozen=True, slots=True)
class Study:
    """What moves an output.

    Attributes:
        value: the output with every factor at its value (of tornado and elasticity).
        rows: the factors, the most influential first; runs: how many it took.
    """

    method: str
    output: str
    value: float | None
    rows: tuple[Bar, ...] | tuple[Effect, ...] | tuple[Share, ...] | tuple[Elasticity, ...]
    runs: int

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return {
            "schema": 1,
            "version": __version__,
            "method": self.method,
            "output": self.output,
            "value": self.value,
            "runs": self.runs,
            "factors": [asdict(row) for row in self.rows],
        }


def sensitivity(
    scenario: Scenario,
    output: str = "tokens_per_s_per_user",
    *,
    method: str = "tornado",
    samples: int = 8,
    vary: Mapping[str, str] | None = None,
    backend: str | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Study:
    """Which uncertain figure moves an output of a run.

    Args:
        output: a field of the run's record, one of `sim.planning.outputs`.
        method: tornado (2 d + 1 runs), morris (samples · (d + 1)), sobol (samples · (d + 2)) or elasticity
            (of resources rather than of what is uncertain; some 15 runs).
        samples: trajectories of Morris, base samples of Sobol.
        vary, backend, workers, progress: as of `sim.uncertainty`.
    Raises:
        UserError: for an unknown method or output, or a run that is refused.
    """
    if method not in METHODS:
        raise unknown("method", method, METHODS)
    if output not in BY_NAME:
        raise unknown("output", output, BY_NAME)
    if method == "elasticity":
        with closing(make_executor(backend, workers)) as executor:
            return _elasticities(scenario, BY_NAME[output], executor, progress)
    known = factors(scenario, ranges(vary or {}))
    if not known:
        raise UserError(f"{scenario.name}: no figure has a range, so that nothing can be varied; use --vary")
    names = [factor.name for factor in known]
    made = 0
    with closing(make_executor(backend, workers)) as executor:

        def model(u: Floats) -> Floats:
            nonlocal made
            made += len(u)
            tasks = [task_at(scenario, known, row, str(i)) for i, row in enumerate(u.tolist())]
            found = [None if r is None else BY_NAME[output].of(r) for r in runs(tasks, executor, progress)]
            return np.array([np.nan if value is None else value for value in found])

        value: float | None = None
        if method == "tornado":
            value, rows = tornado(known, model)
        elif method == "morris":
            # Morris takes the very ends of a factor: those of its 90 % interval
            rows = morris(
                names, lambda u: model(LOW_END + (HIGH_END - LOW_END) * u), samples, scenario.spec.seed
            )
        else:
            rows = sobol(names, model, samples, scenario.spec.seed)
    return Study(method, output, value, rows, made)


def _elasticities(
    scenario: Scenario, output: Output, executor: Executor, progress: Callable[[int, int], None]
) -> Study:
    """A tenth more of every resource; of the one that bounds the run further, until another one does."""
    known = resources(scenario)
    plain = Task("0", canonical(scenario.tree), str(scenario.base.resolve()), scenario.name)
    more = [task for place, each in enumerate(known, 1) for task in tasks(scenario, each, (MORE,), place)]
    base, *moved = runs([plain, *more], executor, progress)
    if base is None:
        raise UserError(f"{scenario.name}: its run is refused; bandwall run says why")
    binding = [each for each in known if each.bound == base.get("bound_by")]
    far = [
        task
        for place, each in enumerate(binding)
        for task in tasks(scenario, each, FURTHER, place * len(FURTHER))
    ]
    found = runs(far, executor, progress)
    beyond = {
        each.name: found[place * len(FURTHER) : (place + 1) * len(FURTHER)]
        for place, each in enumerate(binding)
    }
    rows = [
        elasticity(each, output, base, record, beyond.get(each.name, ()))
        for each, record in zip(known, moved, strict=True)
    ]
    rows.sort(key=lambda row: (row.change != row.change, -abs(row.change)))
    return Study("elasticity", output.name, output.of(base), tuple(rows), 1 + len(more) + len(far))

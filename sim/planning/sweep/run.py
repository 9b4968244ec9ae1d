"""Running a sweep: resolve every point, compute those that no store has, keep each as soon as it is there."""

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from sim.errors import UserError
from sim.planning.evaluate import Task, evaluate
from sim.planning.executors import Executor, make_executor
from sim.planning.identity import canonical, code_version, content_hash
from sim.planning.sweep.points import Labels, Point, axis_names, points
from sim.planning.sweep.result import Row, SweepResult
from sim.planning.sweep.schema import SweepSpec, read_sweep
from sim.planning.sweep.store import Store
from sim.scenario.scenario import Scenario, load

Progress = Callable[[int, int], None]
"""Called with (points done, points in all) after every point."""


def _silent(_done: int, _total: int) -> None:
    pass


@dataclass(frozen=True, slots=True)
class _Resolved:
    """A point and its task; a point whose scenario is impossible has a sentence instead."""

    point: Point
    task: Task | None
    refused: str = ""


def sweep(
    path: str | Path,
    *,
    store: str | Path | None = None,
    backend: str | None = None,
    workers: int | None = None,
    progress: Progress = _silent,
) -> SweepResult:
    """Runs a sweep; the same sweep on the same store computes only what is missing.

    Args:
        path: the sweep file.
        store: the SQLite file that keeps the points; None keeps nothing.
        backend: where points run: serial, loky, ray or dask; None: loky where it is installed.
        workers: points at a time; None: all cores.
    Raises:
        UserError: for a faulty sweep, scenario or store, or a full disk; what is finished stays in the store.
    """
    path = Path(path)
    spec = read_sweep(path)
    scenario = load(path.parent / spec.scenario)
    with closing(make_executor(backend, workers)) as executor:
        if store is not None:
            return run_sweep(spec, scenario, Path(store), executor, progress)
        with tempfile.TemporaryDirectory(prefix="bandwall-") as folder:
            return run_sweep(spec, scenario, Path(folder) / "sweep.db", executor, progress)


def run_sweep(
    spec: SweepSpec, scenario: Scenario, path: Path, executor: Executor, progress: Progress = _silent
) -> SweepResult:
    """Runs a sweep that has been read."""
    resolved = [_resolved(scenario, point) for point in points(spec, scenario.spec.seed)]
    tasks = {r.task.key: r.task for r in resolved if r.task is not None}
    if not tasks:  # what is wrong with every point is wrong with the sweep
        raise UserError(resolved[0].refused)
    name = _sweep_name(resolved)
    with Store(path, code_version()) as store:
        store.enter(name, ((r.point.position, r.task.key) for r in resolved if r.task is not None))
        known = store.finished(name) & tasks.keys()
        todo = [task for key, task in tasks.items() if key not in known]
        done = len(known)
        progress(done, len(tasks))
        with closing(executor.results(evaluate, todo)) as finished:
            for result in finished:
                store.add(result, tasks[result.key].text)
                done += 1
                progress(done, len(tasks))
        return SweepResult(
            scenario=scenario.name,
            axes=axis_names(spec),
            rows=tuple(_rows(resolved, store, name)),
            computed=len(todo),
            reused=len(known),
            of_other_code=store.of_other_code(),
        )


def _resolved(scenario: Scenario, point: Point) -> _Resolved:
    try:
        changed = scenario.changed(point.sets)
    except UserError as error:
        return _Resolved(point, None, str(error))
    text = canonical(changed.tree)
    key = content_hash(text, changed.tree["workload"], changed.base)
    return _Resolved(point, Task(key, text, str(changed.base.resolve()), changed.name))


def _sweep_name(resolved: list[_Resolved]) -> str:
    """What a sweep is known by: its points."""
    keys = "".join(r.refused if r.task is None else r.task.key for r in resolved)
    return hashlib.sha256(keys.encode()).hexdigest()


def _rows(resolved: list[_Resolved], store: Store, name: str) -> Iterator[Row]:
    stored = {point.position: point for point in store.points(name)}
    for r in resolved:
        labels: Labels = r.point.labels
        if r.task is None:
            yield Row(r.point.position, labels, "", "refused", {"error": r.refused})
        else:
            found = stored[r.point.position]
            yield Row.read(found, labels)

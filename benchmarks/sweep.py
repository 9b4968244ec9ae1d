"""What a sweep costs beside its runs: `python benchmarks/sweep.py`.

overhead    (wall time of a sweep in this process − Σ time of its runs) / points, best of three
efficiency  Σ CPU time of the runs / (2 · wall time) with two loky workers, best of three
"""

import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from sim.planning.evaluate import Finished, Task, evaluate
from sim.planning.executors import make_executor
from sim.planning.sweep.run import run_sweep
from sim.planning.sweep.schema import SweepSpec
from sim.scenario.scenario import load

EXAMPLE = Path(__file__).parents[1] / "examples" / "ax-k1-h200.yaml"
POINTS, TRIES = 200, 3


def timed(task: Task) -> tuple[Finished, float, float]:
    """A run with its wall and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    finished = evaluate(task)
    return finished, time.perf_counter() - wall, time.process_time() - cpu


class Timed:
    """An executor that notes what its tasks took."""

    def __init__(self, executor) -> None:
        self.executor, self.workers = executor, executor.workers
        self.wall = self.cpu = 0.0

    def results(self, _function: Callable[[Task], Finished], tasks):
        """The results, without their times."""
        for finished, wall, cpu in self.executor.results(timed, tasks):
            self.wall += wall
            self.cpu += cpu
            yield finished


def once(backend: str, workers: int) -> tuple[float, Timed]:
    """Wall time of a fresh sweep, and what its tasks took."""
    spec = SweepSpec.model_validate({"scenario": "", "replications": POINTS})
    with closing(make_executor(backend, workers)) as executor, tempfile.TemporaryDirectory() as folder:
        list(executor.results(timed, []))
        watched = Timed(executor)
        start = time.perf_counter()
        run_sweep(spec, load(EXAMPLE), Path(folder) / "sweep.db", watched)
        return time.perf_counter() - start, watched


def main() -> None:
    """Prints both figures."""
    runs = [once("serial", 1) for _ in range(TRIES)]
    overhead = min((wall - tasks.wall) / POINTS for wall, tasks in runs)
    each = runs[0][1].wall / POINTS
    print(f"overhead {1e3 * overhead:.2f} ms per point, beside runs of {1e3 * each:.0f} ms")
    pairs = [once("loky", 2) for _ in range(TRIES)]
    efficiency = max(tasks.cpu / (2 * wall) for wall, tasks in pairs)
    print(f"efficiency {100 * efficiency:.0f} % on 2 processes, start of the workers included")


if __name__ == "__main__":
    main()

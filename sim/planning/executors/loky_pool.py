"""All cores of this machine, through loky's process pool."""

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from itertools import islice
from typing import Protocol, cast

from sim.planning.executors.executor import AHEAD, Result, Task
from sim.planning.executors.optional import imported


class _Pool(Protocol):
    def submit(self, function: Callable[[Task], Result], task: Task, /) -> "Future[Result]": ...

    def shutdown(self, *, kill_workers: bool) -> None: ...


class _Loky(Protocol):
    def get_reusable_executor(self, max_workers: int) -> _Pool: ...

    def cpu_count(self) -> int: ...


class LokyExecutor:
    """Worker processes that serve every call until the executor is closed."""

    def __init__(self, workers: int | None = None) -> None:
        loky = cast("_Loky", imported("loky", "loky", "sweep"))
        self.workers = workers or loky.cpu_count()
        self._pool = loky.get_reusable_executor(max_workers=self.workers)

    def results(self, function: Callable[[Task], Result], tasks: Iterable[Task]) -> Generator[Result]:
        """As they complete."""
        waiting = iter(tasks)
        running = {self._pool.submit(function, task) for task in islice(waiting, AHEAD * self.workers)}
        try:
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                running |= {self._pool.submit(function, task) for task in islice(waiting, len(done))}
                for future in done:
                    yield future.result()
        finally:
            for future in running:
                future.cancel()

    def close(self) -> None:
        """Ends the worker processes; what they still compute is nobody's."""
        self._pool.shutdown(kill_workers=True)

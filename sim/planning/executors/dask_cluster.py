"""A Dask cluster: the scheduler `DASK_SCHEDULER_ADDRESS` names, otherwise one started on this machine.

`distributed.as_completed` yields futures as they finish and takes new ones while it runs. Every worker needs
this package installed and sees the scenario's files under the same paths.
"""

import logging
import os
from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import islice
from typing import Protocol, cast

from sim.planning.executors.executor import AHEAD, Result, Task
from sim.planning.executors.optional import imported

ADDRESS = "DASK_SCHEDULER_ADDRESS"


class _Future(Protocol):
    def result(self) -> object: ...


class _Completed(Protocol):
    def add(self, future: _Future) -> None: ...

    def __iter__(self) -> Iterator[_Future]: ...


class _Client(Protocol):
    def submit(self, function: Callable[[Task], Result], task: Task, /, *, pure: bool) -> _Future: ...

    def ncores(self) -> dict[str, int]: ...

    def cancel(self, futures: list[_Future]) -> None: ...

    def close(self) -> None: ...


class _Distributed(Protocol):
    def Client(self, *arguments: object, **options: object) -> _Client: ...  # noqa: N802

    def as_completed(self, futures: list[_Future]) -> _Completed: ...


class DaskExecutor:
    """Dask futures, one worker process with one thread per core."""

    def __init__(self, workers: int | None = None) -> None:
        self._dask = cast("_Distributed", imported("distributed", "dask", "dask"))
        address = os.environ.get(ADDRESS)
        if address:
            self._client = self._dask.Client(address)
        else:
            self._client = self._dask.Client(
                n_workers=workers or os.cpu_count() or 1,
                threads_per_worker=1,
                dashboard_address=None,
                silence_logs=logging.ERROR,
            )
        self.workers = max(1, sum(self._client.ncores().values()))

    def results(self, function: Callable[[Task], Result], tasks: Iterable[Task]) -> Generator[Result]:
        """As they complete."""
        waiting = iter(tasks)
        running = {self._submitted(function, task) for task in islice(waiting, AHEAD * self.workers)}
        completed = self._dask.as_completed(list(running))
        try:
            for future in completed:
                running.discard(future)
                for task in islice(waiting, 1):
                    added = self._submitted(function, task)
                    running.add(added)
                    completed.add(added)
                yield cast("Result", future.result())
        finally:
            self._client.cancel(list(running))

    def close(self) -> None:
        """Leaves the cluster, or ends the one started here."""
        self._client.close()

    def _submitted(self, function: Callable[[Task], Result], task: Task) -> _Future:
        # not pure: Dask would otherwise hash every task to recognise equal ones
        return self._client.submit(function, task, pure=False)

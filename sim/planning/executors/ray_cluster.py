"""A Ray cluster: the one `RAY_ADDRESS` names, otherwise one started on this machine.

At most `AHEAD` tasks per CPU are pending: `ray.wait` hands over what is ready before more is submitted.
Every node needs this package installed and sees the scenario's files under the same paths.
"""

import os
from collections.abc import Callable, Generator, Iterable, Sequence
from itertools import islice
from typing import Protocol, cast

from sim.planning.executors.executor import AHEAD, Result, Task
from sim.planning.executors.optional import imported

ADDRESS = "RAY_ADDRESS"


class _Remote(Protocol):
    def remote(self, task: object) -> object: ...


class _Ray(Protocol):
    def init(self, **options: object) -> object: ...

    def is_initialized(self) -> bool: ...

    def cluster_resources(self) -> dict[str, float]: ...

    def remote(self, function: Callable[[Task], Result]) -> _Remote: ...

    def wait(
        self, references: Sequence[object], *, num_returns: int
    ) -> tuple[Sequence[object], Sequence[object]]: ...

    def get(self, reference: object) -> object: ...

    def cancel(self, reference: object) -> None: ...

    def shutdown(self) -> None: ...


class RayExecutor:
    """Ray tasks of one CPU each."""

    def __init__(self, workers: int | None = None) -> None:
        self._ray = cast("_Ray", imported("ray", "ray", "ray"))
        if not self._ray.is_initialized():
            local = {} if os.environ.get(ADDRESS) else {"num_cpus": workers, "include_dashboard": False}
            self._ray.init(log_to_driver=False, logging_level="error", **local)
        self.workers = workers or max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    def results(self, function: Callable[[Task], Result], tasks: Iterable[Task]) -> Generator[Result]:
        """As they complete."""
        waiting, remote = iter(tasks), self._ray.remote(function)
        running = [remote.remote(task) for task in islice(waiting, AHEAD * self.workers)]
        try:
            while running:
                ready, left = self._ray.wait(running, num_returns=1)
                running = [*left, *(remote.remote(task) for task in islice(waiting, len(ready)))]
                for reference in ready:
                    yield cast("Result", self._ray.get(reference))
        finally:
            for reference in running:
                self._ray.cancel(reference)

    def close(self) -> None:
        """Leaves the cluster, or ends the one started here."""
        self._ray.shutdown()

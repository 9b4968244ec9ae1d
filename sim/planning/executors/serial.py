"""One task after the other in this process."""

from collections.abc import Callable, Generator, Iterable

from sim.planning.executors.executor import Result, Task


class SerialExecutor:
    """Needs nothing; results come in the order of the tasks."""

    workers = 1

    def results(self, function: Callable[[Task], Result], tasks: Iterable[Task]) -> Generator[Result]:
        """Each task's result in turn."""
        for task in tasks:
            yield function(task)

    def close(self) -> None:
        """Nothing was started."""

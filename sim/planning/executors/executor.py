"""What a sweep asks of the machines it runs on."""

from collections.abc import Callable, Generator, Iterable
from typing import Protocol, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")

AHEAD = 4
"""Tasks under way per worker: enough that none waits for the parent, few enough that tasks stay lazy."""


class Executor(Protocol):
    """Runs a function on tasks and yields results as they complete, in any order.

    Tasks are taken from their iterable as there is room for them. The function must be importable, tasks and
    results picklable. An exception of the function reaches the caller. Closing the iterator gives up
    what has not started.
    """

    @property
    def workers(self) -> int:
        """How many tasks run at a time."""
        ...

    def results(self, function: Callable[[Task], Result], tasks: Iterable[Task]) -> Generator[Result]:
        """The results, each as soon as it is there."""
        ...

    def close(self) -> None:
        """Ends what the executor started."""
        ...

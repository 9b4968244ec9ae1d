"""A trace as columns, whatever its file looked like."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim.workload.limits import MOST_SECONDS, MOST_TOKENS
from sim.workload.traces.text import malformed


@dataclass(frozen=True, slots=True)
class TraceTable:
    """Rows of a trace in file order.

    Attributes:
        arrival: s, relative to the trace's own start; None if the file has no times.
        blocks: identities of each prompt's blocks of `block_tokens` tokens, the last one partial.
        parent: row whose prompt and answer a prompt begins with, -1 for none; empty if there are none.
        session: session number, -1 for none; client: index into `clients`. Empty where not given.
        note: what about the rows is not recorded but estimated.
    """

    prompt_tokens: NDArray[np.int64]
    output_tokens: NDArray[np.int64]
    arrival: NDArray[np.float64] | None = None
    blocks: Sequence[Sequence[int]] | None = None
    block_tokens: int = 0
    priority: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    parent: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    session: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    client: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    clients: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """Raw values of one field with the line each came from, converted as a whole, blamed one by one."""

    path: Path
    name: str
    lines: Sequence[int]
    values: Sequence[object]

    def tokens(self) -> NDArray[np.int64]:
        """Whole numbers from 1 to `MOST_TOKENS`."""
        return self.whole(1, MOST_TOKENS)

    def whole(self, low: int, high: int) -> NDArray[np.int64]:
        """Whole numbers from `low` to `high`."""
        numbers = self._floats(f"a whole number from {low} to {high}")
        wrong = (numbers < low) | (numbers > high) | (numbers != np.floor(numbers))
        if wrong.any():
            self.blame(int(np.argmax(wrong)), f"a whole number from {low} to {high}")
        return numbers.astype(np.int64)

    def seconds(self, unit: float = 1.0) -> NDArray[np.float64]:
        """Times of at least 0, in units of `unit` seconds."""
        times = self._floats("a time of at least 0") * unit
        wrong = (times < 0) | (times > MOST_SECONDS)
        if wrong.any():
            self.blame(int(np.argmax(wrong)), f"a time from 0 to {MOST_SECONDS:g} s")
        return times

    def blame(self, row: int, needs: str) -> None:
        """Refuse the value of one row.

        Raises:
            UserError: always.
        """
        raise malformed(self.path, self.lines[row], self.name, self.values[row], needs)

    def _floats(self, needs: str) -> NDArray[np.float64]:
        try:
            numbers = np.array([float(value) for value in self.values])  # pyright: ignore[reportArgumentType]
        except (TypeError, ValueError, OverflowError):
            self.blame(next(i for i, value in enumerate(self.values) if not _is_number(value)), needs)
            raise
        finite = np.isfinite(numbers)
        if not finite.all():
            self.blame(int(np.argmin(finite)), needs)
        return numbers


def _is_number(value: object) -> bool:
    if isinstance(value, bool):
        return False
    try:
        return math.isfinite(float(value))  # pyright: ignore[reportArgumentType]
    except (TypeError, ValueError, OverflowError):
        return False

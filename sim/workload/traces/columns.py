"""Columns of a row-wise trace, and what they say together.

    arrival_s, prompt_tokens, output_tokens [, session, turn, prefix_of, priority, client, pause_s]

`session` and `turn` make a conversation: the prompt of a turn begins with the prompt and the answer of the
turn before it. `prefix_of` names another earlier row (the first row of data is 0) to begin with instead.
Arrivals of later turns are those in the file, unless `pause_s` says how long after the answer to the turn
before they come (empty: at once).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim.workload.limits import MOST_SECONDS, MOST_TOKENS
from sim.workload.traces.table import TraceTable
from sim.workload.traces.text import malformed

REQUIRED = ("prompt_tokens", "output_tokens")
OPTIONAL = ("arrival_s", "session", "turn", "prefix_of", "priority", "client", "pause_s")
_MOST_PRIORITY = 2**31


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
            numbers = np.array([_number(value) for value in self.values])
        except (TypeError, ValueError, OverflowError):
            self.blame(next(i for i, value in enumerate(self.values) if not _is_number(value)), needs)
            raise
        finite = np.isfinite(numbers)
        if not finite.all():
            self.blame(int(np.argmin(finite)), needs)
        return numbers


def _number(value: object) -> float:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return float(value)
    raise TypeError


def _is_number(value: object) -> bool:
    try:
        return math.isfinite(_number(value))
    except (TypeError, ValueError, OverflowError):
        return False


def table_of(found: Mapping[str, Column], time_unit: float, foreign_clock: bool) -> TraceTable:
    """The trace that these columns (by our names) make.

    Args:
        time_unit: seconds per unit of the arrivals.
        foreign_clock: count the arrivals from the earliest of them.
    Raises:
        UserError: malformed values, parents that do not come before.
    """
    prompt = found["prompt_tokens"].tokens()
    arrival = found["arrival_s"].seconds(time_unit) if "arrival_s" in found else None
    if arrival is not None and foreign_clock:
        arrival = arrival - arrival.min()
    session, client = _names(found.get("session")), _names(found.get("client"))
    turns = _turns(len(prompt), session, found.get("turn"))
    pause = _pauses(found["pause_s"]) if "pause_s" in found else np.empty(0)
    priority = found.get("priority")
    return TraceTable(
        prompt_tokens=prompt,
        output_tokens=found["output_tokens"].tokens(),
        arrival=arrival,
        priority=np.empty(0, np.int64)
        if priority is None
        else priority.whole(-_MOST_PRIORITY, _MOST_PRIORITY),
        parent=_parents(turns, found.get("prefix_of")),
        session=session[0],
        client=client[0],
        clients=client[1],
        before=[[row] if row >= 0 else [] for row in turns.tolist()] if len(pause) and len(turns) else (),
        pause=pause,
    )


def _names(column: Column | None) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Numbers for names in order of appearance, and the names; an empty cell is -1."""
    if column is None:
        return np.empty(0, np.int64), ()
    number: dict[str, int] = {}
    cells = [str(value).strip() for value in column.values]
    places = [number.setdefault(cell, len(number)) if cell else -1 for cell in cells]
    return np.array(places, np.int64), tuple(number)


def _pauses(column: Column) -> NDArray[np.float64]:
    filled = ["0" if value in ("", None) else value for value in column.values]
    return Column(column.path, column.name, column.lines, filled).seconds()


def _turns(
    rows: int, session: tuple[NDArray[np.int64], tuple[str, ...]], turn: Column | None
) -> NDArray[np.int64]:
    """The row of the turn before each row's, -1 for none; empty if the file has no sessions."""
    if not session[1]:
        return np.empty(0, np.int64)
    before = np.full(rows, -1, np.int64)
    last: dict[int, int] = {}
    for row in _order_of_turns(rows, turn):
        of = int(session[0][row])
        if of >= 0:
            before[row] = last.get(of, -1)
            last[of] = row
    return before


def _parents(turns: NDArray[np.int64], prefix_of: Column | None) -> NDArray[np.int64]:
    """The row each prompt begins with, -1 for none; empty if the file has neither sessions nor prefixes."""
    if prefix_of is None:
        return turns
    parent = turns.copy() if len(turns) else np.full(len(prefix_of.values), -1, np.int64)
    for row, value in enumerate(prefix_of.values):
        if value not in ("", "-1"):
            parent[row] = _earlier_row(prefix_of, row)
    return parent


def _order_of_turns(rows: int, turn: Column | None) -> list[int]:
    if turn is None:
        return list(range(rows))
    return np.argsort(turn.whole(0, 2**31), kind="stable").tolist()


def _earlier_row(column: Column, row: int) -> int:
    needs = (
        f"the number of an earlier row, 0 to {row - 1}"
        if row
        else "nothing: the first row has none before it"
    )
    text = str(column.values[row]).strip()
    if not text.isdecimal() or int(text) >= row:
        raise malformed(column.path, column.lines[row], column.name, text, needs)
    return int(text)

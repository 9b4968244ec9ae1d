"""CSV traces: our own columns, any others by a mapping, BurstGPT's and Azure's.

    arrival_s, prompt_tokens, output_tokens [, session, turn, prefix_of, priority, client]

`session` and `turn` make a conversation: the prompt of a turn begins with the prompt and the answer of the
turn before it. `prefix_of` names another earlier row (the first row of data is 0) to begin with instead.
Arrivals of later turns are those in the file. Lines that begin with # are comments.
"""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim.errors import UserError, nearest
from sim.workload.traces.table import Column, TraceTable
from sim.workload.traces.text import malformed, numbered_lines

REQUIRED = ("prompt_tokens", "output_tokens")
OPTIONAL = ("arrival_s", "session", "turn", "prefix_of", "priority", "client")
AZURE = {"arrival_s": "TIMESTAMP", "prompt_tokens": "ContextTokens", "output_tokens": "GeneratedTokens"}
BURSTGPT = {"arrival_s": "Timestamp", "prompt_tokens": "Request tokens", "output_tokens": "Response tokens"}
_MOST_PRIORITY = 2**31


def read_csv(path: Path, columns: Mapping[str, str], time_unit: float) -> TraceTable:
    """A CSV trace with our column names, or those that `columns` maps to.

    Args:
        columns: our name → the file's name, for those that differ.
        time_unit: seconds per unit of the arrival column.
    Raises:
        UserError: missing columns, malformed values (with line), parents that do not come before.
    """
    found = _columns(path, columns)
    session = _names(found.get("session"))
    client = _names(found.get("client"))
    prompt = found["prompt_tokens"].tokens()
    return TraceTable(
        prompt_tokens=prompt,
        output_tokens=found["output_tokens"].tokens(),
        arrival=found["arrival_s"].seconds(time_unit) if "arrival_s" in found else None,
        priority=_priority(found.get("priority")),
        parent=_parents(len(prompt), session, found.get("turn"), found.get("prefix_of")),
        session=session[0],
        client=client[0],
        clients=client[1],
    )


def read_azure(path: Path) -> TraceTable:
    """An Azure LLM inference trace (2023, 2024): TIMESTAMP (date, time), ContextTokens, GeneratedTokens."""
    found = _columns(path, AZURE)
    stamps = _timestamps(found["arrival_s"])
    return TraceTable(
        prompt_tokens=found["prompt_tokens"].tokens(),
        output_tokens=found["output_tokens"].tokens(),
        arrival=stamps - stamps.min(),
    )


def read_burstgpt(path: Path) -> TraceTable:
    """A BurstGPT trace. Requests that failed have no answer (0 response tokens) and are left out."""
    found = _columns(path, BURSTGPT)
    answered = found["output_tokens"].whole(0, 2**31) > 0
    if not answered.any():
        raise UserError(f"{path.name} holds no answered requests")

    def kept(name: str) -> Column:
        column = found[name]
        rows = np.flatnonzero(answered).tolist()
        return Column(path, column.name, [column.lines[i] for i in rows], [column.values[i] for i in rows])

    failed = int((~answered).sum())
    return TraceTable(
        prompt_tokens=kept("prompt_tokens").tokens(),
        output_tokens=kept("output_tokens").tokens(),
        arrival=kept("arrival_s").seconds(),
        note=f"{failed} failed requests left out" if failed else "",
    )


def _columns(path: Path, mapping: Mapping[str, str]) -> dict[str, Column]:
    """The columns that are there by our names."""
    numbered = list(numbered_lines(path))
    if not numbered:
        raise UserError(f"{path.name} is empty; needs a header line and one line per request")
    lines = [number for number, _ in numbered]
    rows = _split(path, [line for _, line in numbered])
    header, body = [name.strip() for name in rows[0]], rows[1:]
    _check_header(path, lines[0], header, mapping)
    if not body:
        raise UserError(f"{path.name} holds a header but no requests")
    for line, row in zip(lines[1:], body, strict=True):
        if len(row) != len(header):
            raise UserError(f"{path.name}:{line}: found {len(row)} values, the header names {len(header)}")
    turned = list(zip(*body, strict=True))
    place = {name: i for i, name in enumerate(header)}
    wanted = {name: mapping.get(name, name) for name in (*REQUIRED, *OPTIONAL)}
    return {
        name: Column(path, theirs, lines[1:], turned[place[theirs]])
        for name, theirs in wanted.items()
        if theirs in place
    }


def _split(path: Path, lines: Sequence[str]) -> list[list[str]]:
    try:
        return list(csv.reader(lines, strict=True))
    except csv.Error as error:
        raise UserError(f"{path.name}: not valid CSV: {error}") from None


def _check_header(path: Path, line: int, header: Sequence[str], mapping: Mapping[str, str]) -> None:
    for name in (*REQUIRED, *mapping):
        theirs = mapping.get(name, name)
        if theirs not in header:
            raise UserError(
                f"{path.name}:{line}: no column '{theirs}'{nearest(theirs, header)} "
                f"(found: {', '.join(header)})"
            )
    if len(set(header)) != len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise UserError(f"{path.name}:{line}: column '{twice}' is named twice")


def _timestamps(column: Column) -> NDArray[np.float64]:
    """Dates and times as seconds since 1970."""
    # numpy knows no time zones; Azure's are all UTC.
    texts = [str(value).removesuffix("+00:00").removesuffix("Z") for value in column.values]
    try:
        stamps = np.array(texts, dtype="datetime64[ns]")
    except ValueError:
        stamps = np.array(["NaT"], dtype="datetime64[ns]")
    if np.isnat(stamps).any():
        column.blame(next(i for i, text in enumerate(texts) if not _is_timestamp(text)), "a date and time")
    return (stamps - stamps.min()).astype(np.int64) / 1e9


def _is_timestamp(text: str) -> bool:
    try:
        return not np.isnat(np.datetime64(text, "ns"))
    except ValueError:
        return False


def _names(column: Column | None) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Numbers for names in order of appearance, and the names; an empty cell is -1."""
    if column is None:
        return np.empty(0, np.int64), ()
    number: dict[str, int] = {}
    cells = [str(value).strip() for value in column.values]
    places = [number.setdefault(cell, len(number)) if cell else -1 for cell in cells]
    return np.array(places, np.int64), tuple(number)


def _priority(column: Column | None) -> NDArray[np.int64]:
    return np.empty(0, np.int64) if column is None else column.whole(-_MOST_PRIORITY, _MOST_PRIORITY)


def _parents(
    rows: int,
    session: tuple[NDArray[np.int64], tuple[str, ...]],
    turn: Column | None,
    prefix_of: Column | None,
) -> NDArray[np.int64]:
    """The row each prompt begins with, -1 for none; empty if the file has neither sessions nor prefixes."""
    if not session[1] and prefix_of is None:
        return np.empty(0, np.int64)
    parent = np.full(rows, -1, np.int64)
    if session[1]:
        order = _order_of_turns(rows, turn)
        last: dict[int, int] = {}
        for row in order:
            of = int(session[0][row])
            if of >= 0:
                parent[row] = last.get(of, -1)
                last[of] = row
    if prefix_of is not None:
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

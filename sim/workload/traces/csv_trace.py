"""CSV traces: our own columns, any others by a mapping, BurstGPT's and Azure's. Lines with # are comments."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim.errors import UserError, nearest
from sim.workload.traces.columns import OPTIONAL, REQUIRED, Column, table_of
from sim.workload.traces.table import TraceTable
from sim.workload.traces.text import numbered_lines

AZURE = {"arrival_s": "TIMESTAMP", "prompt_tokens": "ContextTokens", "output_tokens": "GeneratedTokens"}
BURSTGPT = {"arrival_s": "Timestamp", "prompt_tokens": "Request tokens", "output_tokens": "Response tokens"}


def read_csv(path: Path, columns: Mapping[str, str], time_unit: float) -> TraceTable:
    """A CSV trace with our column names, or those that `columns` maps to.

    Args:
        columns: our name → the file's name, for those that differ.
        time_unit: seconds per unit of the arrival column.
    Raises:
        UserError: missing columns, malformed values (with line), parents that do not come before.
    """
    return table_of(_columns(path, columns), time_unit, foreign_clock="arrival_s" in columns)


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
    rows = _split(path, numbered)
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


def _split(path: Path, numbered: Sequence[tuple[int, str]]) -> list[list[str]]:
    reader = csv.reader([line for _, line in numbered], strict=True)
    try:
        return list(reader)
    except csv.Error as error:
        line = numbered[max(reader.line_num, 1) - 1][0]
        raise UserError(f"{path.name}:{line}: not valid CSV: {error}") from None


def _check_header(path: Path, line: int, header: Sequence[str], mapping: Mapping[str, str]) -> None:
    for name in (*REQUIRED, *mapping):
        theirs = mapping.get(name, name)
        if theirs not in header and len(header) == 1 and (";" in header[0] or "\t" in header[0]):
            raise UserError(f"{path.name}:{line}: found '{header[0]}', needs columns separated by commas")
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

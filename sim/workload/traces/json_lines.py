"""JSONL traces: one object per line, our field names or mapped ones; and Mooncake's with its block hashes.

{"arrival_s": 0.3, "prompt_tokens": 812, "output_tokens": 120}
{"timestamp": 300, "input_length": 812, "output_length": 120, "hash_ids": [4, 17]}      Mooncake, times in ms
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from sim.errors import UserError, nearest
from sim.workload.traces.columns import OPTIONAL, REQUIRED, Column, table_of
from sim.workload.traces.table import TraceTable
from sim.workload.traces.text import malformed, numbered_lines

Record = Mapping[str, object]

MOONCAKE_BLOCK = 512  # tokens per hash id; Mooncake, FAST 2025, trace release


def read_jsonl(path: Path, columns: Mapping[str, str], time_unit: float) -> TraceTable:
    """A JSONL trace with our field names, or those that `columns` maps to; arrivals may be absent.

    Raises:
        UserError: a line that is not a JSON object, a missing field, a malformed value.
    """
    lines, records = read_records(path)
    found: dict[str, Column] = {}
    for ours in (*REQUIRED, *OPTIONAL):
        theirs = columns.get(ours, ours)
        if ours in REQUIRED or ours in columns or any(theirs in record for record in records):
            found[ours] = _column(path, lines, records, theirs)
    return table_of(found, time_unit, foreign_clock="arrival_s" in columns)


def read_mooncake(path: Path) -> TraceTable:
    """A Mooncake trace: `hash_ids` name the 512-token blocks of each prompt, equal where prefixes are equal.

    Raises:
        UserError: as `read_jsonl`; hash ids that do not cover the prompt.
    """
    lines, records = read_records(path)
    prompt = _column(path, lines, records, "input_length").tokens()
    blocks = [
        _hash_ids(path, line, record, -(-length // MOONCAKE_BLOCK))
        for line, record, length in zip(lines, records, prompt.tolist(), strict=True)
    ]
    return TraceTable(
        prompt_tokens=prompt,
        output_tokens=_column(path, lines, records, "output_length").tokens(),
        arrival=_column(path, lines, records, "timestamp").seconds(1e-3),
        blocks=blocks,
        block_tokens=MOONCAKE_BLOCK,
    )


def read_records(path: Path) -> tuple[list[int], list[Record]]:
    """Line numbers and objects of a JSONL file."""
    lines: list[int] = []
    records: list[Record] = []
    for number, text in numbered_lines(path):
        try:
            record = cast("object", json.loads(text))
        except (ValueError, RecursionError) as error:
            fault = error.msg if isinstance(error, json.JSONDecodeError) else "too deep or too long a number"
            raise UserError(f"{path.name}:{number}: not valid JSON: {fault}") from None
        if not isinstance(record, dict):
            raise UserError(f"{path.name}:{number}: found {text[:40]}, needs a JSON object")
        lines.append(number)
        records.append(cast("Record", record))
    if not records:
        raise UserError(f"{path.name} holds no requests")
    return lines, records


def _column(path: Path, lines: Sequence[int], records: Sequence[Record], name: str) -> Column:
    values: list[object] = []
    for line, record in zip(lines, records, strict=True):
        if name not in record:
            raise UserError(
                f"{path.name}:{line}: no field '{name}'{nearest(name, record)} (found: {', '.join(record)})"
            )
        values.append(record[name])
    return Column(path, name, lines, values)


def _hash_ids(path: Path, line: int, record: Record, count: int) -> list[int]:
    ids = record.get("hash_ids")
    if not isinstance(ids, list):
        raise malformed(path, line, "hash_ids", ids, "a list of whole numbers")
    blocks = cast("list[object]", ids)
    if len(blocks) != count:
        raise malformed(
            path,
            line,
            "hash_ids",
            f"{len(blocks)} ids",
            f"{count}, one per {MOONCAKE_BLOCK} tokens of the prompt",
        )
    for block in blocks:
        if type(block) is not int or not 0 <= block < 2**62:
            raise malformed(path, line, "hash_ids", block, "whole numbers of at least 0")
    return cast("list[int]", blocks)

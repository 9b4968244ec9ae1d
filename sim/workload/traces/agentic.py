"""Recorded agents: sessions whose turns wait for answers, one session a line.

LLMServingSim 2.0:
    {"session_id": "a", "arrival_time_ns": 0,
     "sub_requests": [{"input_toks": 900, "output_toks": 80, "tool_duration_ns": 5e8}, …]}
Weka (AIPerf's weka_trace):
    {"id": "a", "block_size": 64,
     "requests": [{"t": 0.0, "type": "n", "in": 900, "out": 80, "hash_ids": [1, 2, …], "api_time": 1.9},
                  {"t": 4.2, "type": "subagent", "requests": […]}, …]}

A turn comes a pause after the turn before it in its stream. LLMServingSim states the pause. Weka states when
a turn was sent (t, s) and how long it took (api_time, s): pause = t - end of what it waited for. A sub-agent
waits for the turn before it; a turn waits for the sub-agents that had ended when it was sent. Hash ids are a
session's own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np

from sim.workload.limits import MOST_SECONDS, MOST_TOKENS
from sim.workload.traces.json_lines import Record, read_records
from sim.workload.traces.table import TraceTable
from sim.workload.traces.text import malformed


def read_llmservingsim(path: Path) -> TraceTable:
    """Sessions of LLMServingSim 2.0; a turn's prompt holds all that was said before it.

    Raises:
        UserError: a line that is no session, a malformed value.
    """
    rows = _Rows()
    for session, (line, record) in enumerate(zip(*read_records(path), strict=True)):
        at = _Place(path, line)
        start = at.number(record, "arrival_time_ns", 0.0, MOST_SECONDS * 1e9) * 1e-9
        pause, last = 0.0, -1
        for turn in at.entries(record, "sub_requests"):
            lengths = at.tokens(turn, "input_toks"), at.tokens(turn, "output_toks")
            last = rows.add(session, start, lengths, [last] if last >= 0 else [], pause, parent=last)
            pause = at.number(turn, "tool_duration_ns", 0.0, MOST_SECONDS * 1e9) * 1e-9
    return rows.table()


def read_weka(path: Path) -> TraceTable:
    """Sessions of Weka's agentic traces, sub-agents included; content is equal where hash ids are.

    Raises:
        UserError: a line that is no session, a malformed value, sessions of different block sizes.
    """
    rows = _Rows()
    size = 0
    for session, (line, record) in enumerate(zip(*read_records(path), strict=True)):
        at = _Place(path, line)
        own = int(at.number(record, "block_size", 1, 2**20))
        if size and own != size:
            raise malformed(path, line, "block_size", own, f"{size}, as in the sessions before")
        size = own
        _Recorded(rows, at, session, size).stream(at.entries(record, "requests"), [])
    return rows.table(size)


@dataclass(frozen=True, slots=True)
class _Place:
    """A line, for errors."""

    path: Path
    line: int

    def number(self, record: Record, name: str, low: float, high: float) -> float:
        value = record.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise malformed(self.path, self.line, name, value, f"a number from {low:g} to {high:g}")
        return float(value)

    def tokens(self, record: Record, name: str) -> int:
        return int(self.number(record, name, 1, MOST_TOKENS))

    def entries(self, record: Record, name: str) -> list[Record]:
        value = record.get(name)
        entries = cast("list[object]", value) if isinstance(value, list) else []
        if not entries or not all(isinstance(entry, Mapping) for entry in entries):
            raise malformed(self.path, self.line, name, entries, "a list of objects, at least one")
        return cast("list[Record]", entries)

    def identities(self, record: Record) -> list[int]:
        value = record.get("hash_ids")
        ids = cast("list[object]", value) if isinstance(value, list) else [None]
        if not all(type(block) is int and block >= 0 for block in ids):
            raise malformed(self.path, self.line, "hash_ids", ids, "whole numbers of at least 0")
        return cast("list[int]", ids)


@dataclass(slots=True)
class _Rows:
    """Turns so far, and the blocks named so far."""

    arrival: list[float] = field(default_factory=list[float])
    session: list[int] = field(default_factory=list[int])
    prompt: list[int] = field(default_factory=list[int])
    output: list[int] = field(default_factory=list[int])
    before: list[list[int]] = field(default_factory=list[list[int]])
    pause: list[float] = field(default_factory=list[float])
    parent: list[int] = field(default_factory=list[int])
    blocks: list[list[int]] = field(default_factory=list[list[int]])
    known: dict[tuple[int, int], int] = field(default_factory=dict[tuple[int, int], int])

    def add(
        self,
        session: int,
        start: float,
        lengths: tuple[int, int],
        before: list[int],
        pause: float,
        parent: int,
    ) -> int:
        """Adds a turn; returns its row."""
        self.arrival.append(start)
        self.session.append(session)
        self.prompt.append(lengths[0])
        self.output.append(lengths[1])
        self.before.append(before)
        self.pause.append(pause)
        self.parent.append(parent)
        return len(self.prompt) - 1

    def block(self, session: int, identity: int) -> int:
        """The number of a session's block."""
        return self.known.setdefault((session, identity), len(self.known))

    def table(self, block_tokens: int = 0) -> TraceTable:
        """The trace; with a block size its contents are blocks, otherwise those of parents."""
        return TraceTable(
            prompt_tokens=np.array(self.prompt, np.int64),
            output_tokens=np.array(self.output, np.int64),
            arrival=np.array(self.arrival),
            blocks=self.blocks if block_tokens else None,
            block_tokens=block_tokens,
            parent=np.empty(0, np.int64) if block_tokens else np.array(self.parent, np.int64),
            session=np.array(self.session, np.int64),
            before=self.before,
            pause=np.array(self.pause),
        )


@dataclass(slots=True)
class _Recorded:
    """One recorded session."""

    rows: _Rows
    at: _Place
    session: int
    block_tokens: int
    start: float | None = None
    unnamed: int = 0

    def stream(self, turns: Sequence[Record], waits: list[tuple[int, float]]) -> tuple[int, float] | None:
        """Adds a stream's turns, the first of which waits for rows of which the recorded ends are given.

        Returns:
            the last row and its recorded end (s); None for a stream without turns of its own.
        """
        helpers: list[tuple[int, float]] = []
        for turn in turns:
            sent = self.at.number(turn, "t", 0.0, MOST_SECONDS)
            if turn.get("type") == "subagent":
                helper = self.stream(self.at.entries(turn, "requests"), waits)
                helpers += [helper] if helper is not None else []
                continue
            ended = [helper for helper in helpers if helper[1] <= sent]
            helpers = [helper for helper in helpers if helper[1] > sent]
            waits = [*waits, *ended]
            row = self._add(turn, sent, waits)
            waits = [(row, sent + self.at.number(turn, "api_time", 0.0, MOST_SECONDS))]
        return waits[-1] if turns and waits else None

    def _add(self, turn: Record, sent: float, waits: list[tuple[int, float]]) -> int:
        if self.start is None:
            self.start = sent
        over = max((end for _, end in waits), default=sent)
        lengths = self.at.tokens(turn, "in"), self.at.tokens(turn, "out")
        before = [row for row, _ in waits]
        self.rows.blocks.append(self._blocks(turn, lengths[0]))
        return self.rows.add(self.session, self.start, lengths, before, max(0.0, sent - over), parent=-1)

    def _blocks(self, turn: Record, tokens: int) -> list[int]:
        """Numbers of the prompt's blocks; those that the record does not name are nobody else's."""
        identities = self.at.identities(turn)
        count = -(-tokens // self.block_tokens)
        if len(identities) > count:
            needs = f"at most {count}, one per {self.block_tokens} tokens of the prompt"
            raise malformed(self.at.path, self.at.line, "hash_ids", f"{len(identities)} ids", needs)
        missing = count - len(identities)
        unnamed = [-1 - self.unnamed - i for i in range(missing)]
        self.unnamed += missing
        return [self.rows.block(self.session, identity) for identity in (*identities, *unnamed)]

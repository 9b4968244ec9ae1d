"""Drawing the turns of sessions, their contexts and what they wait for.

A session is a chain of rows; sub-agents are chains between two rows of it. Chains end early where the context
is full, and whoever would wait for a row that is not there waits for what is there.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from sim.workload.arrivals.closed import Closed
from sim.workload.arrivals.sessions import Sessions
from sim.workload.extent import Extent
from sim.workload.lengths import Lengths
from sim.workload.prefix import SharedPrefix
from sim.workload.prompts import prompts_of_parents
from sim.workload.requests import Follows, Requests
from sim.workload.streams import stream

BLOCK = 1024  # sessions drawn at once


@dataclass(frozen=True, slots=True)
class TurnTexts:
    """What a turn adds, its answer, and the system prompts in front of a session."""

    prompt: Lengths
    output: Lengths
    prefix: SharedPrefix | None


@dataclass(slots=True)
class _Rows:
    """Requests so far."""

    arrival: list[float] = field(default_factory=list[float])
    session: list[int] = field(default_factory=list[int])
    prompt: list[int] = field(default_factory=list[int])
    output: list[int] = field(default_factory=list[int])
    pause: list[float] = field(default_factory=list[float])
    parent: list[int] = field(default_factory=list[int])
    edges: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])


@dataclass(frozen=True, slots=True)
class _Turn:
    """What was drawn for one turn; `helpers`: the turns of each sub-agent that it starts."""

    added: int
    first: int
    output: int
    pause: float
    helpers: tuple[int, ...] = ()


def session_requests(
    arrivals: Sessions, texts: TurnTexts, extent: Extent, seed: int, base: Path | None
) -> Requests:
    """The turns of sessions that start within the duration, or the first `count` of them session by session.

    Raises:
        ValueError: a distribution that leaves no length.
    """
    starts = arrivals.starts.times(extent, stream(seed, "arrivals"))
    group, system = np.full(len(starts), -1), np.empty(0, np.int64)
    if texts.prefix is not None:
        group, system = texts.prefix.groups_of(len(starts), seed), texts.prefix.group_tokens(seed, base)
    rows = _Rows()
    apart = arrivals.starts.concurrency if isinstance(arrivals.starts, Closed) else None
    ends: list[int] = []
    for session, turns in enumerate(_sessions(arrivals, texts, len(starts), seed, base)):
        if extent.count is not None and len(rows.arrival) >= extent.count:
            break
        before = [] if apart is None or session < apart else [ends[session - apart]]
        known = int(system[group[session]]) if group[session] >= 0 else 0
        chains = _Chains(rows, session, float(starts[session]), known, arrivals.context)
        ends.append(chains.session(turns, before))
    return _requests(rows, group, system, extent.count)


class _Chains:
    """The rows of one session."""

    def __init__(self, rows: _Rows, session: int, start: float, system: int, context: int | None) -> None:
        self.rows = rows
        self.number = session
        self.start = start
        self.system = system
        self.context = context

    def session(self, turns: list[_Turn], before: list[int]) -> int:
        """Adds the session; returns its last row."""
        last = -1
        for turn, helpers in _with_helpers(turns):
            row = self._add(turn, last, before)
            if row is None:
                break
            last = row
            before = [last, *(end for chain in helpers if (end := self._chain(chain, row)) != row)]
        return last

    def _chain(self, turns: list[_Turn], starter: int) -> int:
        """A sub-agent's rows; the last of them, or who started it."""
        last, before = -1, [starter]
        for turn in turns:
            row = self._add(turn, last, before)
            if row is None:
                break
            last, before = row, [row]
        return last if last >= 0 else starter

    def _add(self, turn: _Turn, parent: int, before: list[int]) -> int | None:
        """The row of a turn, None if it does not fit the context; a first turn always does."""
        rows, row = self.rows, len(self.rows.prompt)
        if parent < 0:
            prompt = self.system + turn.first
        else:
            prompt = rows.prompt[parent] + rows.output[parent] + turn.added
            if self.context is not None and prompt + turn.output > self.context:
                return None
        rows.arrival.append(self.start)
        rows.session.append(self.number)
        rows.prompt.append(prompt)
        rows.output.append(turn.output)
        rows.pause.append(turn.pause if before else 0.0)
        rows.parent.append(parent)
        rows.edges.extend((row, one) for one in before)
        return row


def _with_helpers(turns: list[_Turn]) -> Iterator[tuple[_Turn, list[list[_Turn]]]]:
    """Each turn of the session itself, with the turns of the sub-agents it starts; they come after it."""
    place = 0
    while place < len(turns):
        turn = turns[place]
        place += 1
        helpers: list[list[_Turn]] = []
        for length in turn.helpers:
            helpers.append(turns[place : place + length])
            place += length
        yield turn, helpers


def _sessions(
    arrivals: Sessions, texts: TurnTexts, count: int, seed: int, base: Path | None
) -> Iterator[list[_Turn]]:
    """What was drawn for each session, in blocks; sub-agents' turns come after the turn that starts them."""
    names = ("turns", "helpers", "helper_turns", "prompt_tokens", "first_prompt", "output_tokens", "pauses")
    draws = {name: stream(seed, name) for name in names}
    helps = arrivals.subagents
    for start in range(0, count, BLOCK):
        size = min(BLOCK, count - start)
        turns = _whole(arrivals.turns, draws["turns"], size, base)
        calls = np.zeros(int(turns.sum()), np.bool_)
        if helps is not None:
            calls = draws["helpers"].random(len(calls)) < helps.share
            calls[np.cumsum(turns) - 1] = False  # nobody waits for helpers of the last turn
        helpers = np.empty(0, np.int64)
        if helps is not None:
            called = int(np.count_nonzero(calls)) * helps.count
            helpers = _whole(helps.turns, draws["helper_turns"], called, base)
        yield from _drawn(arrivals, texts, turns, calls, helpers, draws, base)


def _drawn(
    arrivals: Sessions,
    texts: TurnTexts,
    turns: NDArray[np.int64],
    calls: NDArray[np.bool_],
    helpers: NDArray[np.int64],
    draws: dict[str, np.random.Generator],
    base: Path | None,
) -> Iterator[list[_Turn]]:
    """The turns of a block of sessions, with their texts and pauses."""
    total = len(calls) + int(helpers.sum())
    added = _whole(texts.prompt, draws["prompt_tokens"], total, base)
    first = added
    if arrivals.first_prompt is not None:
        first = _whole(arrivals.first_prompt, draws["first_prompt"], total, base)
    output = _whole(texts.output, draws["output_tokens"], total, base)
    pause = arrivals.pause.sample(total, draws["pauses"])
    rows = zip(*(cast("list[int]", column.tolist()) for column in (added, first, output)),
               cast("list[float]", pause.tolist()), strict=True)  # fmt: skip
    called, lengths = iter(cast("list[bool]", calls.tolist())), iter(cast("list[int]", helpers.tolist()))
    each = 0 if arrivals.subagents is None else arrivals.subagents.count
    for length in cast("list[int]", turns.tolist()):
        session: list[_Turn] = []
        for _ in range(length):
            own = tuple(next(lengths) for _ in range(each)) if next(called) else ()
            session.append(_Turn(*next(rows), helpers=own))
            session.extend(_Turn(*next(rows)) for _ in range(sum(own)))
        yield session


def _whole(lengths: Lengths, draws: np.random.Generator, count: int, base: Path | None) -> NDArray[np.int64]:
    return lengths.sample(draws.random(count), base)


def _requests(
    rows: _Rows, group: NDArray[np.int64], system: NDArray[np.int64], count: int | None
) -> Requests:
    """The first `count` rows, or all; a row's edges lead to rows before it, so that none is lost."""
    session = np.array(rows.session[:count], np.int64)
    prompt, output = (np.array(column[:count], np.int64) for column in (rows.prompt, rows.output))
    parent = np.array(rows.parent[:count], np.int64)
    pieces, answers = prompts_of_parents(parent, prompt, output, group[session], system)
    edges = np.array([edge for edge in rows.edges if edge[0] < len(session)], np.int64).reshape(-1, 2)
    pause = np.array(rows.pause[:count], np.float64)
    return Requests(
        arrival=np.array(rows.arrival[:count], np.float64),
        prompt_tokens=prompt,
        output_tokens=output,
        pieces=pieces,
        output_segment=answers,
        session=session,
        follows=Follows(edges[:, 0], edges[:, 1], pause),
    )

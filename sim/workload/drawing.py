"""The requests of one kind of user."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim.errors import UserError
from sim.workload.arrivals import Closed, Process, Source
from sim.workload.arrivals.sessions import Sessions
from sim.workload.demand import Texts
from sim.workload.extent import Extent
from sim.workload.lengths import Lengths, TextLength
from sim.workload.prompts import prompts_with_prefix
from sim.workload.requests import Requests
from sim.workload.streams import stream


def draw(
    arrivals: Process | Sessions | Source, texts: Texts, extent: Extent, seed: int, base: Path | None
) -> Requests:
    """Requests in order of arrival; none where a process gives none within the duration.

    Raises:
        UserError: an unreadable or malformed file, lengths that leave nothing.
    """
    if isinstance(arrivals, Source):
        requests = arrivals.requests(extent, seed, base)
    elif isinstance(arrivals, Sessions):
        requests = _sessions(arrivals, texts, extent, seed, base)
    else:
        requests = _single(arrivals, texts, extent, seed, base)
    if texts.priority is not None:
        requests = replace(requests, priority=texts.priority.sample(len(requests), seed))
    notes = dict.fromkeys(
        lengths.note
        for lengths in (texts.prompt_tokens, texts.output_tokens)
        if isinstance(lengths, TextLength)
    )
    return replace(requests, synthetic="; ".join(notes)) if notes else requests


def _single(arrivals: Process, texts: Texts, extent: Extent, seed: int, base: Path | None) -> Requests:
    """Requests that have nothing to do with one another but their system prompts."""
    arrival = arrivals.times(extent, stream(seed, "arrivals"))
    count = len(arrival)
    prompt = _lengths(texts.prompt_tokens, "prompt_tokens", count, seed, base)
    pieces, answers = None, np.empty(0, np.int64)
    if texts.prefix is not None:
        group, tokens = texts.prefix.groups_of(count, seed), texts.prefix.group_tokens(seed, base)
        pieces, answers = prompts_with_prefix(group, tokens, prompt)
        prompt = prompt + np.where(group >= 0, tokens[group], 0)
    return Requests(
        arrival=arrival,
        prompt_tokens=prompt,
        output_tokens=_lengths(texts.output_tokens, "output_tokens", count, seed, base),
        pieces=pieces,
        output_segment=answers,
        concurrency=arrivals.concurrency if isinstance(arrivals, Closed) else None,
    )


def _sessions(arrivals: Sessions, texts: Texts, extent: Extent, seed: int, base: Path | None) -> Requests:
    from sim.workload.turns import TurnTexts, session_requests

    assert texts.prompt_tokens is not None
    assert texts.output_tokens is not None
    turn = TurnTexts(texts.prompt_tokens, texts.output_tokens, texts.prefix)
    try:
        return session_requests(arrivals, turn, extent, seed, base)
    except ValueError as error:
        raise UserError(f"workload: {error}") from None


def _lengths(
    lengths: Lengths | None, name: str, count: int, seed: int, base: Path | None
) -> NDArray[np.int64]:
    assert lengths is not None
    try:
        return lengths.sample(stream(seed, name).random(count), base)
    except ValueError as error:
        raise UserError(f"workload.{name}: {error}") from None

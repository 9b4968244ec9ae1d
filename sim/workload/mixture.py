"""The requests of several clients on one clock."""

from pathlib import Path
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from sim.workload.arrivals import Trace
from sim.workload.clients import Clients, own_rate
from sim.workload.drawing import draw
from sim.workload.extent import Extent
from sim.workload.limits import MOST_SECONDS
from sim.workload.requests import Follows, Pieces, Requests

SPARE = 1.2  # of the time that a count should take, so that it is seldom too short


def mixed(clients: Clients, extent: Extent, seed: int, base: Path | None) -> Requests:
    """All clients' requests in order of arrival, the first `count` of them or those within the duration.

    Raises:
        UserError: as `sim.workload.drawing.draw`.
    """
    everyone = clients.at_rate()
    rate = sum(own_rate(client) or 0.0 for client in everyone)
    horizon = extent.duration
    if horizon is None:
        assert extent.count is not None
        horizon = SPARE * extent.count / rate if rate else MOST_SECONDS
    while True:
        within = Extent(None, horizon)
        parts = [
            draw(client.arrivals, client, within, seed_of(seed, client.name), base) for client in everyone
        ]
        enough = extent.count is None or sum(map(len, parts)) >= extent.count
        endless = not all(isinstance(client.arrivals, Trace) for client in everyone)
        if enough or extent.duration is not None or not endless or horizon >= MOST_SECONDS:
            break
        horizon *= 2
    return merged(parts, tuple(client.name for client in everyone), extent.count)


def seed_of(seed: int, name: str) -> int:
    """The seed of a client's own streams."""
    return int(np.random.SeedSequence([seed, crc32(name.encode())]).generate_state(1, np.uint64)[0])


def merged(parts: list[Requests], names: tuple[str, ...], count: int | None) -> Requests:
    """Requests of several clients as one; rows of a session stay in their order.

    Args:
        count: keep the first so many. A row that waits for others never comes before them.
    """
    offset = np.cumsum([0, *map(len, parts)])[:-1]
    order = np.argsort(np.concatenate([part.arrival for part in parts]), kind="stable")[:count]
    pieces, answers = _pieces(parts, order)
    return Requests(
        arrival=np.concatenate([part.arrival for part in parts])[order],
        prompt_tokens=np.concatenate([part.prompt_tokens for part in parts])[order],
        output_tokens=np.concatenate([part.output_tokens for part in parts])[order],
        priority=_numbers([part.priority for part in parts], parts, 0)[order]
        if any(len(part.priority) for part in parts)
        else np.empty(0, np.int64),
        pieces=pieces,
        output_segment=answers,
        session=_sessions(parts)[order],
        client=np.repeat(np.arange(len(parts)), list(map(len, parts)))[order],
        clients=names,
        synthetic="; ".join(dict.fromkeys(part.synthetic for part in parts if part.synthetic)),
        follows=_follows(parts, offset, order),
    )


def _numbers(columns: list[NDArray[np.int64]], parts: list[Requests], absent: int) -> NDArray[np.int64]:
    """A column of every part one after the other, with a value for parts that have none."""
    return np.concatenate([
        column if len(column) else np.full(len(part), absent)
        for column, part in zip(columns, parts, strict=True)
    ])  # fmt: skip


def _sessions(parts: list[Requests]) -> NDArray[np.int64]:
    """Sessions numbered over all parts."""
    columns: list[NDArray[np.int64]] = []
    first = 0
    for part in parts:
        own = part.session if len(part.session) else np.full(len(part), -1)
        columns.append(np.where(own >= 0, own + first, -1))
        first += int(own.max(initial=-1)) + 1
    return np.concatenate(columns)


def _pieces(
    parts: list[Requests], order: NDArray[np.int64]
) -> tuple[tuple[Pieces, ...] | None, NDArray[np.int64]]:
    """Contents with segments of their own for each part, in the order given; None where nothing is shared."""
    if all(part.pieces is None for part in parts):
        return None, np.empty(0, np.int64)
    contents: list[Pieces] = []
    answers: list[NDArray[np.int64]] = []
    first = 0
    for part in parts:
        if part.pieces is None:
            lengths: list[int] = part.prompt_tokens.tolist()
            contents.extend(((first + i, tokens),) for i, tokens in enumerate(lengths))
            answers.append(first + len(part) + np.arange(len(part)))
            first += 2 * len(part)
            continue
        contents.extend(tuple((first + segment, n) for segment, n in pieces) for pieces in part.pieces)
        answers.append(first + part.output_segment)
        inside = max((segment for pieces in part.pieces for segment, _ in pieces), default=-1)
        first += 1 + max(inside, int(part.output_segment.max(initial=-1)))
    kept: list[int] = order.tolist()
    return tuple(contents[row] for row in kept), np.concatenate(answers)[order]


def _follows(parts: list[Requests], offset: NDArray[np.int64], order: NDArray[np.int64]) -> Follows | None:
    """The edges in the new order; those of rows that are not kept are gone with them."""
    if all(part.follows is None for part in parts):
        return None
    place = np.full(sum(map(len, parts)), -1, np.int64)
    place[order] = np.arange(len(order))
    edges: list[NDArray[np.int64]] = []
    for part, first in zip(parts, offset, strict=True):
        if part.follows is not None:
            edges.append(np.stack([part.follows.request, part.follows.before]) + first)
    request, before = place[np.concatenate(edges, axis=1)]
    pause = np.concatenate([
        np.zeros(len(part)) if part.follows is None else part.follows.pause for part in parts
    ])  # fmt: skip
    kept = (request >= 0) & (before >= 0)
    return Follows(request[kept], before[kept], pause[order])

"""Drawing the requests of a synthetic service.

    client i: gaps of mean 1/(rate · share_i / Σ share) and the client's cv, gamma or Weibull
    all:      the clients' arrivals merged in order

With sessions the process is that of first turns, at rate/turns; each later turn comes a lognormal pause
after the one before, whether or not that has been answered. A run starts with no session under way, so
the first pauses' worth of it has fewer requests than the rate says.
"""

import math
from dataclasses import dataclass
from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from sim.errors import UserError
from sim.workload.arrivals.renewal import renewal_times
from sim.workload.extent import Extent
from sim.workload.gaps import unit_gaps
from sim.workload.limits import MOST_REQUESTS
from sim.workload.pauses import lognormal
from sim.workload.preset import Preset, Sessions
from sim.workload.prompts import prompts_of_parents, renumbered
from sim.workload.requests import Requests
from sim.workload.streams import stream

# A bursty renewal process that starts at 0 starts inside a burst; after some gaps its start is forgotten.
LEAD_IN = 200

Scalar = TypeVar("Scalar", np.int64, np.float64)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Requests not yet in order; parent, session and group where there are sessions."""

    arrival: NDArray[np.float64]
    client: NDArray[np.int64]
    prompt: NDArray[np.int64]
    output: NDArray[np.int64]
    parent: NDArray[np.int64] | None = None
    session: NDArray[np.int64] | None = None
    group: NDArray[np.int64] | None = None


def synthesise(preset: Preset, rate: float, extent: Extent, seed: int) -> Requests:
    """The requests of a preset at `rate` per second, within `extent`.

    Raises:
        UserError: nothing arrives within the duration.
    """
    if preset.sessions is None:
        start, client = _merged(preset, rate, extent, seed)
        prompt = _sampled(preset, "prompt_tokens", client, seed)
        rows = _Rows(start, client, prompt, _sampled(preset, "output_tokens", client, seed))
    else:
        start, client = _merged(preset, rate / preset.sessions.turns, extent, seed)
        rows = _turns(preset, preset.sessions, start, client, seed)
    order = np.argsort(rows.arrival, kind="stable")
    if extent.duration is not None:
        order = order[rows.arrival[order] <= extent.duration]
    order = order[: extent.count]
    if not len(order):
        raise UserError(
            f"no request of the preset '{preset.title}' arrives within the duration; give a longer one"
        )
    return _requests(preset, rows, order, seed)


def _merged(
    preset: Preset, rate: float, extent: Extent, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Arrival times (s) of all clients in order, and the client of each."""
    horizon = extent.duration
    if extent.count is not None:
        horizon = min(1.1 * extent.count / rate, horizon or math.inf)
    assert horizon is not None
    while True:
        parts = [_client_times(preset, i, rate, horizon, seed) for i in range(len(preset.clients))]
        enough = extent.count is None or sum(map(len, parts)) >= extent.count
        if enough or horizon == extent.duration:
            break
        horizon = min(2 * horizon, extent.duration or math.inf)
    time = np.concatenate(parts)
    client = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    order = np.argsort(time, kind="stable")[: extent.count]
    return time[order], client[order]


def _client_times(preset: Preset, i: int, rate: float, horizon: float, seed: int) -> NDArray[np.float64]:
    """One client's arrivals (s) up to the horizon; its process began `LEAD_IN` mean gaps before 0."""
    client = preset.clients[i]
    own_rate = rate * client.share / sum(c.share for c in preset.clients)
    lead_in = LEAD_IN / own_rate
    gaps = unit_gaps(client.family, client.cv, stream(seed, "arrivals", i))
    times = renewal_times(gaps, own_rate, Extent(None, horizon + lead_in)) - lead_in
    return times[times >= 0]


def _sampled(preset: Preset, name: str, client: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Lengths of every request, each from its client's distribution and stream."""
    lengths = np.empty(len(client), np.int64)
    for i, one in enumerate(preset.clients):
        mine = client == i
        distribution = one.prompt_tokens if name == "prompt_tokens" else one.output_tokens
        lengths[mine] = distribution.sample(stream(seed, name, i).random(int(mine.sum())))
    return lengths


def _turns(
    preset: Preset, sessions: Sessions, start: NDArray[np.float64], client: NDArray[np.int64], seed: int
) -> _Rows:
    """Every turn of the sessions that start at these times, session by session."""
    turns = stream(seed, "turns").geometric(1 / sessions.turns, len(start))
    if turns.sum() > MOST_REQUESTS:
        raise UserError(f"workload: more than {MOST_REQUESTS:,} requests")
    session = np.repeat(np.arange(len(start)), turns)
    first = np.repeat(np.cumsum(turns) - turns, turns)
    turn = np.arange(len(session)) - first
    client = client[session]
    added, output = (_sampled(preset, n, client, seed) for n in ("prompt_tokens", "output_tokens"))
    group = sessions.system.groups_of(len(start), seed)[session]
    system = np.where(group >= 0, sessions.system.group_tokens(seed, None)[group], 0)
    pause = np.where(turn > 0, _pauses(sessions, len(session), seed), 0.0)
    prompt = system + _running(added, first) + _running(output, first) - output
    kept = prompt + output <= sessions.context  # a session that outgrew the context stays out
    place = np.cumsum(kept) - 1
    return _Rows(
        arrival=(start[session] + _running(pause, first))[kept],
        client=client[kept],
        prompt=prompt[kept],
        output=output[kept],
        parent=np.where(turn > 0, place - 1, -1)[kept],
        session=session[kept],
        group=group[kept],
    )


def _pauses(sessions: Sessions, count: int, seed: int) -> NDArray[np.float64]:
    """Lognormal pauses (s)."""
    return lognormal(sessions.pause, sessions.pause_cv, stream(seed, "pauses").standard_normal(count))


def _running(values: NDArray[Scalar], first: NDArray[np.int64]) -> NDArray[Scalar]:
    """Running sums that start anew at each row's `first`."""
    total = np.cumsum(values)
    return cast("NDArray[Scalar]", total - (total - values)[first])


def _requests(preset: Preset, rows: _Rows, order: NDArray[np.int64], seed: int) -> Requests:
    pieces, answers, session = None, np.empty(0, np.int64), np.empty(0, np.int64)
    if rows.parent is not None and rows.session is not None and rows.group is not None:
        assert preset.sessions is not None
        pieces, answers = prompts_of_parents(
            renumbered(rows.parent, order), rows.prompt[order], rows.output[order],
            rows.group[order], preset.sessions.system.group_tokens(seed, None),
        )  # fmt: skip
        session = rows.session[order]
    return Requests(
        arrival=rows.arrival[order],
        prompt_tokens=rows.prompt[order],
        output_tokens=rows.output[order],
        pieces=pieces,
        output_segment=answers,
        session=session,
        client=rows.client[order],
        clients=tuple(client.name for client in preset.clients),
        synthetic=f"{preset.title}; synthetic, statistics: {preset.source}",
    )

"""What dividing a fleet into groups does to its latencies, measured where the undivided fleet runs too.

The same requests are served by one fleet of N replicas and by g groups of N/g, each behind the same router:

    error of a percentile = (of all requests over the groups − undivided) / undivided

random        each session (or request) goes to a group by chance: thinning, as one group stands for all
round_robin   the n-th goes to group n mod g: a router over groups that looks at nothing, more even
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sim.metrics.latency import Latencies, latencies
from sim.planning.national.group import Fleet, middle, percentiles
from sim.planning.plan.fleet import Interval, interval
from sim.scenario.scenario import Scenario
from sim.workload import generate
from sim.workload.requests import Follows, Requests
from sim.workload.streams import stream

Split = Literal["random", "round_robin"]
SPLITS: tuple[Split, ...] = ("random", "round_robin")
GROUPS = (2, 4, 8)
METRICS = ("ttft", "tpot", "e2el")


@dataclass(frozen=True, slots=True)
class SplitError:
    """Relative errors of the 99th percentiles, each with its 95 % interval over replications."""

    split: Split
    groups: int
    errors: dict[str, Interval]


def split_errors(fleet: Fleet, loads: Sequence[Scenario], replicas: int) -> tuple[SplitError, ...]:
    """The errors at 2, 4 and 8 groups of a fleet of `replicas`, a multiple of 8.

    Args:
        loads: scenarios that differ by their seed, each with the load of the whole fleet.
    """
    found = [_one(fleet, load, replicas) for load in loads]
    return tuple(
        SplitError(
            split,
            groups,
            {
                name: interval([errors[split, groups][place] for errors in found])
                for place, name in enumerate(METRICS)
            },
        )
        for split in SPLITS
        for groups in GROUPS
    )


def _one(fleet: Fleet, load: Scenario, replicas: int) -> dict[tuple[Split, int], list[float]]:
    seed = load.spec.seed
    requests = generate(load.spec.workload, seed, load.base)
    whole = fleet.serve(requests, replicas, seed).requests
    judged = middle(whole)
    undivided = percentiles(latencies(whole), judged)
    errors: dict[tuple[Split, int], list[float]] = {}
    for split in SPLITS:
        for groups in GROUPS:
            group = group_of(requests, split, groups, seed)
            divided = percentiles(_divided(fleet, requests, group, replicas // groups, seed), judged)
            errors[split, groups] = [
                here / there - 1.0 for here, there in zip(divided, undivided, strict=True)
            ]
    return errors


def _divided(
    fleet: Fleet, requests: Requests, group: NDArray[np.int64], replicas: int, seed: int
) -> Latencies:
    """Latencies of all requests over groups of `replicas` each, every one in the place it has undivided."""
    columns = [np.full(len(requests), np.nan) for _ in METRICS]
    finished = np.zeros(len(requests), np.bool_)
    for place in np.unique(group).tolist():
        rows = np.flatnonzero(group == place)
        found = latencies(fleet.serve(taken(requests, rows), replicas, seed).requests)
        finished[rows] = found.finished
        for column, values in zip(columns, (found.ttft, found.tpot, found.e2el), strict=True):
            column[rows] = values
    return Latencies(finished, *columns)


def group_of(requests: Requests, split: Split, groups: int, seed: int) -> NDArray[np.int64]:
    """The group of each request; sessions stay together."""
    alone = -1 - np.arange(len(requests))
    unit = np.where(requests.session >= 0, requests.session, alone) if len(requests.session) else alone
    _, first, place = np.unique(unit, return_index=True, return_inverse=True)
    number = np.argsort(np.argsort(first))  # units in order of their first request
    if split == "round_robin":
        return (number % groups)[place]
    return stream(seed, "groups", groups).integers(0, groups, len(first))[number][place]


def taken(requests: Requests, rows: NDArray[np.int64]) -> Requests:
    """The requests in these rows; nobody among them may wait for a request that is not."""

    def of(column: NDArray[np.int64]) -> NDArray[np.int64]:
        return column[rows] if len(column) else column

    follows = requests.follows
    if follows is not None:
        place = np.full(len(requests), -1, np.int64)
        place[rows] = np.arange(len(rows))
        request, before = place[follows.request], place[follows.before]
        kept = request >= 0
        follows = Follows(request[kept], before[kept], follows.pause[rows])
    kept_rows: list[int] = rows.tolist()
    return replace(
        requests,
        arrival=requests.arrival[rows],
        prompt_tokens=requests.prompt_tokens[rows],
        output_tokens=requests.output_tokens[rows],
        priority=of(requests.priority),
        pieces=None if requests.pieces is None else tuple(requests.pieces[row] for row in kept_rows),
        output_segment=of(requests.output_segment),
        session=of(requests.session),
        client=of(requests.client),
        follows=follows,
    )

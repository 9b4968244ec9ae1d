"""What must hold of every run, as executable checks; on with BANDWALL_CHECK=1 and in every test.

Conservation of requests (each finished, refused, given up with a reason or left over, once), of tokens (the
steps yielded exactly the tokens that the requests got), of blocks (free + held = all; nothing held once all
are done), of bytes (weights are not read faster than storage gives them; tiers below the KV cache hold what
they were given less what they dropped, and move nothing faster than their bandwidth), a monotone clock (steps
of an engine never overlap), causality (arrival ≤ received ≤ scheduled ≤ first token ≤ finish), and
Little's law:

    ∫ requests in the system dt = Σ (time left - arrival)

exactly where a gateway counts them in and out; of the engines, from their records, to within the steps in
which a request comes and leaves (not where requests wait for KV caches while no step runs).
"""

import os
from collections.abc import Sequence

import numpy as np

from sim.serving.engine import Engine
from sim.serving.lockstep import ranks_of
from sim.serving.records import (
    FAILED,
    FINISHED,
    REJECTED,
    UNFINISHED,
    FleetHistory,
    Reason,
    RequestTable,
    RunResult,
)
from sim.serving.scheduler import Scheduler
from sim.serving.tiers.store import TierStore
from sim.serving.tiers.use import stores_of


class InvariantError(AssertionError):
    """A conservation law or an order of events was violated: a defect of the simulator."""


def checks_wanted() -> bool:
    """Whether BANDWALL_CHECK=1 is set."""
    return os.environ.get("BANDWALL_CHECK") == "1"


def check_run(result: RunResult, engines: Sequence[Engine]) -> None:
    """Check a finished run.

    Raises:
        InvariantError: naming the law.
    """
    _check_order(result)
    _check_clock(result)
    _check_reasons(result)
    if result.history is not None:
        _check_history(result, result.history)
    elif not len(result.requests.kv_transfer) and not result.kv_tiers:
        _check_littles_law(result)
    for engine in engines:
        for rank in ranks_of(engine.scheduler):
            check_scheduler(rank)
    for store in stores_of(engines):
        check_store(store)


def _check_order(result: RunResult) -> None:
    table = result.requests
    done = table.status == FINISHED
    slack = 1e-9 * max(result.duration, 1.0)
    for earlier, later, name in (
        (table.arrival, table.received, "with its engine before it arrived"),
        (table.received, table.scheduled, "scheduled before its engine had it"),
        (table.scheduled, table.first_token, "a token before it was scheduled"),
        (table.first_token, table.finish, "finished before its first token"),
    ):
        _require(bool(np.all(earlier[done] <= later[done] + slack)), f"a request was {name}")
    _require(bool(np.all(table.output_tokens[done] >= 1)), "a finished request has no output")
    _require(
        result.segments.yielded.sum() == table.output_tokens.sum(), "tokens were lost or made of nothing"
    )


def _check_clock(result: RunResult) -> None:
    rows = result.segments
    busy = rows.time
    _require(bool(np.all(busy >= 0)), "a step took negative time")
    same = rows.replica[1:] == rows.replica[:-1]
    late = rows.start[1:] - (rows.start[:-1] + busy[:-1])
    slack = 1e-9 * max(result.duration, 1.0)
    _require(bool(np.all(late[same] >= -slack)), "two steps of one engine overlap")


def _check_reasons(result: RunResult) -> None:
    table = result.requests
    if len(table.reason):
        lost = (table.status == REJECTED) | (table.status == FAILED)
        _require(bool(np.all((table.reason != Reason.NONE) == lost)), "a request was lost without a reason")


def _check_history(result: RunResult, history: FleetHistory) -> None:
    spent = sum(history.time_in(result.duration).values())
    whole = result.replicas * result.duration
    _require(abs(spent - whole) <= 1e-9 * max(whole, 1.0), "a replica was in no state, or in two")
    if history.loads:
        begun, over = (np.array(times) for times in zip(*history.loads, strict=True))
        most = history.storage * (over.max() - begun.min()) * (1 + 1e-9)
        _require(len(begun) * history.load_bytes <= most, "weights came faster than storage gives them")


def _check_littles_law(result: RunResult) -> None:
    table, rows, series = result.requests, result.segments, result.series
    taken = table.status != REJECTED
    if not len(rows.first) or not np.all(table.status[taken] == FINISHED):
        return
    inside = float((series.running + series.waiting).sum()) * series.width
    sojourn = float((table.finish - table.received)[taken].sum())
    longest = float((rows.first + np.maximum(rows.slope, 0.0) * rows.steps).max())
    _require(abs(inside - sojourn) <= 3 * longest * int(taken.sum()), "Little's law does not hold")


class Census:
    """Counts requests in and out of a system, and their time in it."""

    __slots__ = ("count", "integral", "since")

    def __init__(self) -> None:
        self.count = 0
        self.integral = 0.0
        self.since = 0.0

    def change(self, time: float, by: int) -> None:
        """So many come (or, below 0, leave)."""
        self.integral += self.count * (time - self.since)
        self.since = time
        self.count += by

    def check(self, table: RequestTable) -> None:
        """Compare with what the requests say of themselves.

        Raises:
            InvariantError: if Little's law does not hold.
        """
        inside = (table.status != REJECTED) & np.isfinite(table.arrival)
        left = np.where(np.isfinite(table.finish), table.finish, self.since)
        sojourn = float((left - table.arrival)[inside].sum())
        slack = 1e-9 * max(1.0, self.since) * max(1, int(inside.sum()))
        _require(self.count == int((table.status[inside] == UNFINISHED).sum()), "a request was counted twice")
        _require(abs(self.integral - sojourn) <= slack, "Little's law does not hold")


def check_scheduler(scheduler: Scheduler) -> None:
    """Blocks are conserved and the aggregates equal what they sum up.

    Raises:
        InvariantError: naming the law.
    """
    cache, book = scheduler.cache, scheduler.book
    idle = sum(run.hi - run.lo for run in cache.idle)
    _require(cache.free == cache.blank + idle, "free blocks are not the blank and the idle ones")
    _require(0 <= cache.free <= cache.size, "more blocks are free than exist")
    if scheduler.idle:
        _require(cache.free == cache.size, "blocks are held though nothing runs")
    decoding = scheduler.decoding
    from sim.serving.book import DECODE

    members = [r for r in scheduler.running if book.state[r] == DECODE]
    contexts = [decoding.context(r) for r in members]
    _require(decoding.count == len(members), "the decode count is wrong")
    _require(decoding.sums[0] == sum(contexts), "the context sum is wrong")
    for j, window in enumerate(decoding.windows, 1):
        _require(decoding.sums[j] == sum(min(c, window) for c in contexts), "a window sum is wrong")


def check_store(store: TierStore) -> None:
    """A tier's blocks are conserved, and its links carried no more than their rates allow.

    Raises:
        InvariantError: naming the law.
    """
    cache = store.cache
    idle = sum(run.hi - run.lo for run in cache.idle)
    _require(cache.free == cache.size == cache.blank + idle, "a tier's blocks are not the blank and the held")
    _require(store.written == store.held + store.dropped, "a tier's blocks were lost or made of nothing")
    for channel in (store.reading, store.writing):
        most = channel.rate * channel.free * (1 + 1e-9)
        _require(channel.moved <= most, "a tier moved bytes faster than its bandwidth")


def _require(holds: bool, law: str) -> None:
    if not holds:
        raise InvariantError(law)

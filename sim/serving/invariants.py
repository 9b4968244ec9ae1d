"""What must hold of every run, as executable checks; on with BANDWALL_CHECK=1 and in every test.

Conservation of requests (each finished, refused or left over, once), of tokens (the steps yielded exactly
the tokens that the requests got), of blocks (free + held = all; nothing held once all are done), a monotone
clock (steps of an engine never overlap) and causality (arrival ≤ received ≤ scheduled ≤ first token ≤
finish).
"""

import os
from collections.abc import Sequence

import numpy as np

from sim.serving.engine import Engine
from sim.serving.lockstep import LockstepRanks
from sim.serving.records import FINISHED, RunResult
from sim.serving.scheduler import Scheduler


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
    for engine in engines:
        unit = engine.scheduler
        ranks = unit.ranks if isinstance(unit, LockstepRanks) else [unit]
        for rank in ranks:
            if isinstance(rank, Scheduler):
                check_scheduler(rank)


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


def _require(holds: bool, law: str) -> None:
    if not holds:
        raise InvariantError(law)

"""What a run comes to: its requests as columns, and what a reader should know about them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sim.serving.batch import SchedulerConfig
from sim.serving.book import DONE, GIVEN_UP, REFUSED, RequestBook
from sim.serving.engine import Engine
from sim.serving.fleet_config import FleetConfig
from sim.serving.invariants import check_run, checks_wanted
from sim.serving.kv_cache import Path, Table
from sim.serving.records import (
    FAILED,
    FINISHED,
    REJECTED,
    UNFINISHED,
    FleetHistory,
    Reason,
    Recomputes,
    RequestTable,
    RunResult,
)
from sim.serving.speculation import paces
from sim.serving.tape import RunTape, end_of, segments, series, with_waits
from sim.serving.tiers.use import said_of, tier_uses
from sim.workload.requests import Requests
from sim.workload.streams import stream


@dataclass(frozen=True, slots=True)
class Operated:
    """What a fleet that is operated leaves beside its engines' records: `reason`, `retries`, `submitted` by
    request, `steps` of engines that are no more."""

    history: FleetHistory
    reason: NDArray[np.int8]
    retries: NDArray[np.int64]
    submitted: NDArray[np.float64]
    steps: int


def book_of(requests: Requests, config: SchedulerConfig, seed: int) -> RequestBook:
    """The requests as engines see them: outputs cut at the model's length, content that can be shared, the
    pace at which drafts are accepted."""
    prompt = requests.prompt_tokens
    cap = np.minimum(requests.output_tokens, config.max_model_len - prompt)
    tables: list[Table | None] | None = None
    open_output: list[bool] | None = None
    if requests.pieces is not None and config.enable_prefix_caching:
        outputs = requests.output_segment.tolist()
        asked_for = {segment for pieces in requests.pieces for segment, _ in pieces}
        open_output = [segment in asked_for for segment in outputs]
        tables = [Table(Path(p, s)) for p, s in zip(requests.pieces, outputs, strict=True)]
    elif config.tiers is not None:  # who shares nothing takes room in the tiers all the same
        tables = [Table(Path((), -1 - request)) for request in range(len(requests))]
    priority = requests.priority.tolist() if len(requests.priority) else None
    pace = paces(cap, config.acceptance, stream(seed, "acceptance")) if config.acceptance else None
    book = RequestBook(
        requests.arrival.tolist(), prompt.tolist(), cap.tolist(), priority, tables, open_output, pace
    )
    refused = cap < 1
    if not config.enable_chunked_prefill:
        refused |= prompt > config.max_num_batched_tokens
    for request in np.flatnonzero(refused).tolist():
        book.state[request] = REFUSED
    return book


def run_result(
    requests: Requests,
    book: RequestBook,
    replica: list[int],
    tapes: Sequence[RunTape],
    engines: Sequence[Engine],
    config: FleetConfig,
    operated: Operated | None = None,
) -> RunResult:
    """The records of a run.

    Args:
        replica: where each request went (at last).
        engines: as they are at the end.
        operated: what became of the fleet and of those who have no answer, where it is operated.
    """
    rows = [tape.rows() for tape in tapes]
    duration, blocks = end_of(rows), config.scheduler.num_blocks
    table = request_table(requests, book, replica)
    states = series(rows, duration, blocks * config.ranks * config.replicas)
    history = None
    if operated is not None:
        history = operated.history
        table = replace(table, reason=operated.reason, retries=operated.retries, submitted=operated.submitted)
        states = with_waits(states, history.waits)
    uses = tier_uses(config.scheduler.tiers, config.scheduler.block_size, engines)
    result = RunResult(
        requests=table,
        series=states,
        segments=segments(rows),
        duration=duration,
        steps=sum(engine.steps for engine in engines) + (0 if operated is None else operated.steps),
        replicas=config.replicas,
        chips=config.chips * config.replicas,
        kv_blocks=blocks,
        block_size=config.scheduler.block_size,
        end_reason="all_done" if all(engine.idle for engine in engines) else "stuck",
        clients=requests.clients,
        notes=(*remarks(requests, table, config.scheduler.max_model_len), *said_of(uses)),
        recomputes=recomputes(book),
        history=history,
        kv_tiers=uses,
    )
    for tape in tapes:
        tape.clear()
    if checks_wanted():
        check_run(result, engines)
    return result


def request_table(requests: Requests, book: RequestBook, replica: list[int]) -> RequestTable:
    """One row per request; `replica` is where each went."""
    states = np.array(book.state, np.int8)
    status = np.full(len(requests), UNFINISHED, np.int8)
    for state, outcome in ((DONE, FINISHED), (REFUSED, REJECTED), (GIVEN_UP, FAILED)):
        status[states == state] = outcome
    outputs = np.where(states == DONE, book.cap, np.array(book.known) - np.array(book.prompt))
    client = requests.client if len(requests.client) else np.zeros(len(requests), np.int64)
    return RequestTable(
        arrival=np.array(book.arrival, np.float64),
        received=times(book.received),
        scheduled=times(book.scheduled),
        first_token=times(book.first_token),
        finish=times(book.finish),
        prompt_tokens=requests.prompt_tokens,
        output_tokens=outputs.astype(np.int64),
        cached_tokens=np.array(book.cached_first, np.int64),
        preemptions=np.array(book.preemptions, np.int64),
        replica=np.array(replica, np.int64),
        status=status,
        client=client,
    )


def remarks(requests: Requests, table: RequestTable, max_model_len: int) -> tuple[str, ...]:
    """What about the requests is not as a reader would take it to be."""
    everyone = f"{len(table.status):,}"
    limit = f"max_model_len, {max_model_len:,} tokens"
    too_long = table.status == REJECTED
    if len(table.reason):
        too_long &= table.reason == Reason.TOO_LONG
    rejected = int(too_long.sum())
    unfinished = int((table.status == UNFINISHED).sum())
    cut = int(((table.output_tokens < requests.output_tokens) & (table.status == FINISHED)).sum())
    notes = [f"Workload: {requests.synthetic}."] if requests.synthetic else []
    if rejected:
        why = f"their prompts leave no room for an answer within {limit}, or fit no step"
        notes.append(f"{rejected:,} of {everyone} requests are rejected: {why}.")
    if unfinished:
        notes.append(f"{unfinished:,} of {everyone} requests can never be scheduled and do not finish.")
    if cut:
        notes.append(f"{cut:,} of {everyone} answers end early, at {limit}.")
    return tuple(notes)


def recomputes(book: RequestBook) -> Recomputes:
    """What preemption cost, as columns."""
    if not book.recomputes:
        return Recomputes()
    request, start, end = zip(*book.recomputes, strict=True)
    return Recomputes(np.array(request, np.int64), np.array(start, np.float64), np.array(end, np.float64))


def times(values: list[float | None]) -> NDArray[np.float64]:
    """A column of times; None becomes NaN."""
    return np.array(values, np.float64)

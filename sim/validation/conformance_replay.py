"""A recorded case run on our engine: the same tables, in the trace's terms and integer nanoseconds."""

from sim.serving.batch import Batch, SchedulerConfig
from sim.serving.book import DECODE, DONE, REFUSED, RequestBook
from sim.serving.engine import Engine
from sim.serving.kv_cache import Path as ContentPath
from sim.serving.kv_cache import Table
from sim.serving.scheduler import Scheduler
from sim.timing.linear_surface import LinearSurface
from sim.validation.conformance_case import Case, Row, TraceConfig
from sim.validation.conformance_cut import results_at_cut


def replay(case: Case, *, step_by_step: bool, most: int | None = None) -> tuple[list[Row], list[Row], str]:
    """Run a case's configuration and requests: step rows, per-request results and how it ended.

    Args:
        step_by_step: take every call on its own, or leap over runs of decode steps as `run` does.
        most: give up after so many steps, if the case itself does not stop before; what would never end
            then ends as the case's `max_steps` does.
    """
    config = case.config
    book, refused = _book(case)
    scheduler = Scheduler(_scheduler_config(config), book)
    times = config.step_time
    surface = LinearSurface(times.a_ns, times.b_ns_per_scheduled_token, times.c_ns_per_context_token)
    recorder = _Recorder(scheduler, min((n for n in (config.max_steps, most) if n is not None), default=None))
    depth = 2 if config.async_scheduling else 1
    engine = Engine(scheduler, book, surface, recorder, depth=depth, step_by_step=step_by_step)
    try:
        for request, arrival in enumerate(book.arrival):
            engine.advance(arrival)
            if request not in refused:
                engine.submit(request, arrival)
        engine.advance(float("inf"))
    except _EnoughStepsError:
        return recorder.rows, results_at_cut(case, recorder.rows), "max_steps"
    return recorder.rows, _results(book), "all_done" if scheduler.idle else "stuck"


class _EnoughStepsError(Exception):
    """As many steps have been recorded as were asked for."""


class _Recorder:
    """An engine's tape that writes the trace format's step rows."""

    def __init__(self, scheduler: Scheduler, most: int | None) -> None:
        self.scheduler = scheduler
        self.rows: list[Row] = []
        self.most = most

    def decode_steps(
        self, engine: Engine, call: float, start: float, first: float, slope: float, steps: int
    ) -> None:
        """One row a step."""
        scheduler = self.scheduler
        decoding, book = scheduler.decoding, scheduler.book
        running: list[object] = [r for r in scheduler.running if book.state[r] == DECODE]
        for j in range(steps):
            duration = first + slope * j
            row: Row = {
                "t_ns": start,
                "dur_ns": duration,
                "running": running,
                "admitted": [],
                "preempted": [],
                "free_blocks": scheduler.cache.free - decoding.blocks_due(j + 1),
                "n_running": len(scheduler.running),
                "n_waiting": len(scheduler.waiting),
                "n_cached": None,
            }
            if j == 0 and engine.early:
                held = sum(_blocks_at_finish(scheduler, request) for request in engine.early)
                row["free_blocks"] = scheduler.cache.free - decoding.blocks_due(1) - held
                row["n_running"] = len(scheduler.running) + len(engine.early)
            self._add(engine, call, row)
            call = start if engine.depth == 2 else start + duration
            start += duration

    def step(self, engine: Engine, call: float, start: float, duration: float, batch: Batch) -> None:
        """One row."""
        scheduler = self.scheduler
        row: Row = {
            "t_ns": start,
            "dur_ns": duration,
            "running": _running_part(scheduler, batch),
            "admitted": [[r, n, past, 2 if resumed else 1] for r, n, past, resumed in batch.admitted],
            "preempted": list(batch.preempted),
            "free_blocks": scheduler.cache.free,
            "n_running": len(scheduler.running),
            "n_waiting": len(scheduler.waiting),
            "n_cached": scheduler.cache.distinct,
        }
        self._add(engine, call, row)

    def _add(self, engine: Engine, call: float, row: Row) -> None:
        if engine.depth == 2:
            row["t_sched_ns"] = call
        self.rows.append(row)
        if len(self.rows) == self.most:
            raise _EnoughStepsError


def _running_part(scheduler: Scheduler, batch: Batch) -> list[object]:
    if batch.order is not None:
        return [r if n == 1 else [r, n] for r, n in batch.order]
    running: list[object] = []
    advanced = dict(batch.advanced)
    admitted = {r for r, *_ in batch.admitted}
    gone = set(batch.finishing)
    joined = set(batch.firsts)
    for r in scheduler.running:
        if r in advanced:
            running.append(r if advanced[r] == 1 else [r, advanced[r]])
        elif r not in admitted and r not in joined and (scheduler.book.state[r] == DECODE or r in gone):
            running.append(r)
    return running


def _blocks_at_finish(scheduler: Scheduler, request: int) -> int:
    """Blocks of a request all of whose tokens but the last are computed."""
    tokens = scheduler.book.prompt[request] + scheduler.book.cap[request] - 1
    return -(-tokens // scheduler.config.block_size)


def _book(case: Case) -> tuple[RequestBook, set[int]]:
    """The requests, and those of them that the front end refuses."""
    longest = case.config.max_model_len
    requests = case.requests
    refused = {index for index, request in enumerate(requests) if not 0 < request.prompt < longest}
    book = RequestBook(
        [r.arrival_ns for r in requests],
        [r.prompt for r in requests],
        [min(r.max_tokens, longest - r.prompt) for r in requests],
        [r.priority for r in requests],
        [Table(ContentPath([piece for piece in r.pieces if piece[1]], r.out_seg)) for r in requests],
        [True] * len(requests),
    )
    for index in refused:
        book.state[index] = REFUSED
    return book, refused


def _scheduler_config(config: TraceConfig) -> SchedulerConfig:
    batched = config.max_num_batched_tokens
    return SchedulerConfig(
        block_size=config.block_size,
        num_blocks=config.num_gpu_blocks - 1,
        max_model_len=config.max_model_len,
        max_num_batched_tokens=batched,
        max_num_scheduled_tokens=min(batched, config.max_num_scheduled_tokens or batched),
        max_num_seqs=config.max_num_active_seqs or config.max_num_seqs,
        enable_chunked_prefill=config.enable_chunked_prefill,
        enable_prefix_caching=config.enable_prefix_caching,
        async_scheduling=config.async_scheduling,
        priority=config.policy == "priority",
        watermark_blocks=int(config.watermark * config.num_gpu_blocks),
        scheduler_reserve_full_isl=config.scheduler_reserve_full_isl,
        long_prefill_token_threshold=config.long_prefill_token_threshold,
        long_prefill_adaptive=config.long_prefill_token_threshold_adaptive,
    )


def _results(book: RequestBook) -> list[Row]:
    """What the engine's book says at the end of a run."""
    rows: list[Row] = []
    for r, state in enumerate(book.state):
        made = 0 if book.first_token[r] is None else book.known[r] - book.prompt[r]
        rows.append({
            "status": "finished" if state == DONE else "rejected" if state == REFUSED else "unfinished",
            "first_sched_ns": book.scheduled[r],
            "first_token_ns": book.first_token[r],
            "finish_ns": book.finish[r],
            "n_output": book.cap[r] if state == DONE else made,
            "n_preempt": book.preemptions[r],
            "cached_first": None if book.scheduled[r] is None else book.cached_first[r],
            "cached_all": book.cached[r],
        })  # fmt: skip
    return rows

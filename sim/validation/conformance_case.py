"""A recorded scheduler trace, format "vllm-sched-conformance/1": reading it, and running it on our engine."""

import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, cast

from sim.errors import UserError
from sim.serving.batch import Batch, SchedulerConfig
from sim.serving.book import DECODE, DONE, REFUSED, RequestBook
from sim.serving.engine import Engine
from sim.serving.kv_cache import Path as ContentPath
from sim.serving.kv_cache import Table
from sim.serving.scheduler import Scheduler
from sim.timing.linear_surface import LinearSurface

FORMAT = "vllm-sched-conformance/1"
Row: TypeAlias = dict[str, object]


@dataclass(frozen=True, slots=True)
class Case:
    """A trace as recorded: configuration, requests, steps, per-request results and how it ended."""

    name: str
    config: dict[str, object]
    requests: list[Row]
    steps: list[Row]
    results: list[Row]
    end_reason: str


def read_case(path: Path) -> Case:
    """Read a `.json` or `.json.gz` trace.

    Raises:
        UserError: unreadable file, not JSON, another format, or a missing part.
    """
    try:
        raw = path.read_bytes()
        data = json.loads(gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw)
    except (OSError, EOFError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UserError(f"{path}: cannot be read as a scheduler trace: {reason}") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        found = data.get("format") if isinstance(data, dict) else type(data).__name__
        raise UserError(f"{path}: format is {found!r}; a scheduler trace has format '{FORMAT}'")
    try:
        return Case(
            path.name.removesuffix(".gz").removesuffix(".json"),
            data["config"],
            _rows(data["requests"]),
            _rows(data["steps"]),
            _rows(data["results"]),
            str(data["summary"]["end_reason"]),
        )
    except (KeyError, TypeError) as error:
        raise UserError(f"{path}: the trace lacks {error}") from None


def _rows(table: dict[str, list[object]]) -> list[Row]:
    fields = cast("list[str]", table["fields"])
    return [dict(zip(fields, cast("list[object]", row), strict=True)) for row in table["rows"]]


class Recorder:
    """An engine's tape that writes the trace format's step rows."""

    def __init__(self, scheduler: Scheduler, most: int | None) -> None:
        self.scheduler = scheduler
        self.rows: list[Row] = []
        self.most = most

    @property
    def full(self) -> bool:
        """As many steps as the case asks for have been recorded."""
        return self.most is not None and len(self.rows) >= self.most

    def decode_steps(
        self, engine: Engine, call: float, start: float, first: float, slope: float, steps: int
    ) -> None:
        """One row a step."""
        scheduler = self.scheduler
        decoding, book = scheduler.decoding, scheduler.book
        running: list[object] = [r for r in scheduler.running if book.state[r] == DECODE]
        for j in range(steps):
            duration = first + slope * j
            self._row(
                engine, call, start, duration, running, [], [], scheduler.cache.free - decoding.blocks_due(j + 1),
                None,
            )  # fmt: skip
            call = start if engine.depth == 2 else start + duration
            start += duration

    def step(self, engine: Engine, call: float, start: float, duration: float, batch: Batch) -> None:
        """One row."""
        scheduler = self.scheduler
        running: list[object] = []
        if batch.order is not None:
            running = [r if n == 1 else [r, n] for r, n in batch.order]
        else:
            advanced = dict(batch.advanced)
            admitted = {r for r, *_ in batch.admitted}
            gone = set(batch.finishing)
            joined = set(batch.firsts)
            for r in scheduler.running:
                if r in advanced:
                    running.append(r if advanced[r] == 1 else [r, advanced[r]])
                elif (
                    r not in admitted and r not in joined and (scheduler.book.state[r] == DECODE or r in gone)
                ):
                    running.append(r)
        admissions = [[r, n, past, 2 if resumed else 1] for r, n, past, resumed in batch.admitted]
        self._row(
            engine, call, start, duration, running, admissions, list(batch.preempted), scheduler.cache.free,
            scheduler.cache.distinct,
        )  # fmt: skip

    def _row(
        self, engine: Engine, call: float, start: float, duration: float, running: list[object],
        admitted: list[list[int]], preempted: Sequence[int], free: int, cached: int | None,
    ) -> None:  # fmt: skip
        if self.full:
            return
        scheduler = self.scheduler
        row: Row = {
            "t_ns": start, "dur_ns": duration, "running": running, "admitted": admitted,
            "preempted": list(preempted), "free_blocks": free, "n_running": len(scheduler.running),
            "n_waiting": len(scheduler.waiting), "n_cached": cached,
        }  # fmt: skip
        if engine.depth == 2:
            row["t_sched_ns"] = call
        self.rows.append(row)


def replay(case: Case, *, step_by_step: bool) -> tuple[list[Row], list[Row], str]:
    """Run a case on our engine: its step rows, per-request results and how it ended."""
    config = case.config
    book, refused = _book(case)
    scheduler = Scheduler(_scheduler_config(config), book)
    times = cast("dict[str, int]", config["step_time"])
    surface = LinearSurface(times["a_ns"], times["b_ns_per_scheduled_token"], times["c_ns_per_context_token"])
    recorder = Recorder(scheduler, cast("int | None", config["max_steps"]))
    depth = 2 if scheduler.config.async_scheduling else 1
    engine = Engine(scheduler, book, surface, recorder, depth=depth, step_by_step=step_by_step)
    arrived = 0
    for request, arrival in enumerate(book.arrival):
        engine.advance(arrival)
        if recorder.full:
            break
        arrived = request + 1
        if request not in refused:
            engine.submit(request, arrival)
    _drain(engine, recorder)
    end = "max_steps" if recorder.full else "all_done" if scheduler.idle else "stuck"
    return recorder.rows, _results(book, arrived), end


def _drain(engine: Engine, recorder: Recorder) -> None:
    """Run to the end; an endless case is cut once its steps are recorded."""
    if recorder.most is None:
        engine.advance(float("inf"))
        return
    while not recorder.full and not engine.stalled and not (engine.scheduler.idle and not engine.flight):
        engine.advance(engine.flight[-1][0] + 1 if engine.flight else engine.now + 1)


def _book(case: Case) -> tuple[RequestBook, set[int]]:
    config = case.config
    longest = cast("int", config["max_model_len"])
    arrival, prompt, cap, priority, tables = [], [], [], [], []
    refused: set[int] = set()
    for index, row in enumerate(case.requests):
        pieces = cast("list[tuple[int, int]]", row["pieces"])
        length = sum(n for _, n in pieces)
        if not 0 < length < longest:
            refused.add(index)
        arrival.append(cast("int", row["arrival_ns"]))
        prompt.append(length)
        cap.append(min(cast("int", row["max_tokens"]), longest - length))
        priority.append(cast("int", row["priority"]))
        tables.append(Table(ContentPath(pieces, cast("int", row["out_seg"]))))
    book = RequestBook(arrival, prompt, cap, priority, tables, [True] * len(arrival))
    for index in refused:
        book.state[index] = REFUSED
    return book, refused


def _scheduler_config(config: dict[str, object]) -> SchedulerConfig:
    def number(name: str) -> int:
        return cast("int", config[name])

    batched = number("max_num_batched_tokens")
    blocks = number("num_gpu_blocks")
    return SchedulerConfig(
        block_size=number("block_size"),
        num_blocks=blocks - 1,
        max_model_len=number("max_model_len"),
        max_num_batched_tokens=batched,
        max_num_scheduled_tokens=min(batched, number("max_num_scheduled_tokens") or batched),
        max_num_seqs=number("max_num_active_seqs") or number("max_num_seqs"),
        enable_chunked_prefill=bool(config["enable_chunked_prefill"]),
        enable_prefix_caching=bool(config["enable_prefix_caching"]),
        async_scheduling=bool(config["async_scheduling"]),
        priority=config["policy"] == "priority",
        watermark_blocks=int(cast("float", config["watermark"]) * blocks),
        scheduler_reserve_full_isl=bool(config["scheduler_reserve_full_isl"]),
        long_prefill_token_threshold=number("long_prefill_token_threshold"),
        long_prefill_adaptive=bool(config["long_prefill_token_threshold_adaptive"]),
    )


def _results(book: RequestBook, arrived: int) -> list[Row]:
    rows: list[Row] = []
    for r in range(len(book.arrival)):
        state = book.state[r]
        done = state == DONE
        status = "finished" if done else "rejected" if state == REFUSED else "unfinished"
        rows.append({
            "status": status if r < arrived else "not_arrived",
            "first_sched_ns": book.scheduled[r],
            "first_token_ns": book.first_token[r],
            "finish_ns": book.finish[r],
            "n_output": book.cap[r] if done else _outputs(book, r),
            "n_preempt": book.preemptions[r],
            "cached_first": None if book.scheduled[r] is None else book.cached_first[r],
            "cached_all": book.cached[r],
        })  # fmt: skip
    return rows


def _outputs(book: RequestBook, r: int) -> int:
    if book.first_token[r] is None:
        return 0
    return book.known[r] - book.prompt[r]

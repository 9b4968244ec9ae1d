"""A recorded scheduler trace, format "vllm-sched-conformance/1": its schema, and reading it."""

import gzip
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from sim.documents import validate
from sim.errors import UserError

FORMAT = "vllm-sched-conformance/1"
STEP_FIELDS = (
    "t_ns", "dur_ns", "running", "admitted", "preempted", "free_blocks", "n_running", "n_waiting", "n_cached",
)  # fmt: skip
ASYNC_STEP_FIELDS = (*STEP_FIELDS, "t_sched_ns")
RESULT_FIELDS = (
    "status", "first_sched_ns", "first_token_ns", "finish_ns", "n_output", "n_preempt", "cached_first",
    "cached_all",
)  # fmt: skip

Row: TypeAlias = dict[str, object]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Piece: TypeAlias = tuple[int, Count]


class _Recorded(BaseModel):
    """A part of the file; keys that decide nothing here may be beside the ones named."""

    model_config = ConfigDict(frozen=True, strict=True, allow_inf_nan=False)


class StepTime(_Recorded):
    """A step takes a + b·scheduled tokens + c·context tokens, in nanoseconds."""

    a_ns: Count
    b_ns_per_scheduled_token: Count
    c_ns_per_context_token: Count


class TraceConfig(_Recorded):
    """The scheduler's configuration, with vLLM's names; `num_gpu_blocks` counts the null block."""

    block_size: Annotated[int, Field(ge=1, le=1 << 16)]
    num_gpu_blocks: Annotated[int, Field(ge=2)]
    max_model_len: Positive
    max_num_batched_tokens: Positive
    max_num_scheduled_tokens: Positive | None
    max_num_seqs: Positive
    max_num_active_seqs: Positive | None
    enable_chunked_prefill: bool
    long_prefill_token_threshold: Count
    long_prefill_token_threshold_adaptive: bool
    enable_prefix_caching: bool
    policy: Literal["fcfs", "priority"]
    watermark: Annotated[float, Field(ge=0, le=1)]
    scheduler_reserve_full_isl: bool
    async_scheduling: bool
    step_time: StepTime
    max_steps: Positive | None


class TraceRequest(_Recorded):
    """One request: its prompt as pieces (segment, length) and the segment that its output is."""

    arrival_ns: Count
    priority: int
    max_tokens: Positive
    out_seg: int
    # JSON has no tuples, so a piece is a list there
    pieces: Annotated[tuple[Annotated[Piece, Field(strict=False)], ...], Field(strict=False)]

    @property
    def prompt(self) -> int:
        """Tokens of the prompt."""
        return sum(length for _, length in self.pieces)


class _Summary(_Recorded):
    end_reason: str


class _Table(_Recorded):
    fields: list[str]
    rows: list[list[object]]


class _File(_Recorded):
    config: TraceConfig
    requests: _Table
    steps: _Table
    results: _Table
    summary: _Summary


@dataclass(frozen=True, slots=True)
class Case:
    """A trace as recorded: configuration, requests, steps, per-request results and how it ended."""

    name: str
    config: TraceConfig
    requests: Sequence[TraceRequest]
    steps: Sequence[Row]
    results: Sequence[Row]
    end_reason: str


def read_case(path: Path) -> Case:
    """Read a `.json` or `.json.gz` trace.

    Raises:
        UserError: unreadable or damaged file, not JSON, another format, a part or field that is missing or
            not what it must be, requests out of order of arrival.
    """
    data = _json(path)
    found = data.get("format") if isinstance(data, dict) else type(data).__name__
    if found != FORMAT:
        raise UserError(f"{path}: format is {found!r}; a scheduler trace has format '{FORMAT}'")
    name = str(path)
    trace = validate(_File, data, name=name)
    step_fields = ASYNC_STEP_FIELDS if trace.config.async_scheduling else STEP_FIELDS
    requests = _requests(trace.requests, name)
    results = _rows(trace.results, "results", RESULT_FIELDS, name)
    if len(results) != len(requests):
        raise UserError(
            f"{name}: results: {len(results)} rows for {len(requests)} requests; one each is needed"
        )
    return Case(
        path.name.removesuffix(".gz").removesuffix(".json"),
        trace.config,
        requests,
        _rows(trace.steps, "steps", step_fields, name),
        results,
        trace.summary.end_reason,
    )


def _json(path: Path) -> dict[str, object] | list[object] | str | float | None:
    try:
        raw = path.read_bytes()
        return json.loads(gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw)
    except RecursionError:
        reason = "it is nested too deeply"
    except (OSError, EOFError, ValueError, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    raise UserError(f"{path}: cannot be read as a scheduler trace: {reason}")


def _rows(table: _Table, part: str, needed: Sequence[str], name: str) -> list[Row]:
    missing = [field for field in needed if field not in table.fields]
    if missing:
        raise UserError(f"{name}: {part}.fields: '{missing[0]}' is missing (needed: {', '.join(needed)})")
    rows: list[Row] = []
    for index, values in enumerate(table.rows):
        if len(values) != len(table.fields):
            found, due = len(values), len(table.fields)
            raise UserError(f"{name}: {part}.rows.{index}: {found} values for {due} fields; one each is due")
        rows.append(dict(zip(table.fields, values, strict=True)))
    return rows


def _requests(table: _Table, name: str) -> list[TraceRequest]:
    rows = _rows(table, "requests", tuple(TraceRequest.model_fields), name)
    requests = [
        validate(TraceRequest, row, name=name, prefix=("requests", "rows", index))
        for index, row in enumerate(rows)
    ]
    for index in range(1, len(requests)):
        arrival, before = requests[index].arrival_ns, requests[index - 1].arrival_ns
        if arrival < before:
            raise UserError(
                f"{name}: requests.rows.{index}.arrival_ns: found {arrival} after {before}; "
                "requests must be sorted by arrival"
            )
    return requests

"""Per-request results of a run that was cut after a number of steps, read off the steps' rows.

The engine's book cannot tell them: an engine that leaps may have gone further than the last row. A request
gets a token when a step has computed all its known tokens (those in flight included); in an asynchronous run
the last batch is still in flight at the cut, and its tokens are not delivered.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

from sim.validation.conformance_case import Case, Row, TraceConfig, TraceRequest


def results_at_cut(case: Case, rows: Sequence[Row]) -> list[Row]:
    """One result row per request, after at least one step row."""
    outcomes = [_Outcome(request, case.config) for request in case.requests]
    last = len(rows) - 1
    for index, row in enumerate(rows):
        start, duration = cast("int", row["t_ns"]), cast("int", row["dur_ns"])
        delivered = None if case.config.async_scheduling and index == last else start + duration
        for request, new, past in _scheduled(row):
            outcomes[request].compute(start, new, past, delivered)
        for request in cast("list[int]", row["preempted"]):
            outcomes[request].preempt()
    last_call = cast("int", rows[-1].get("t_sched_ns", rows[-1]["t_ns"]))
    return [outcome.row(last_call) for outcome in outcomes]


def _scheduled(row: Row) -> Iterator[tuple[int, int, int | None]]:
    """(request, new, past) of a step; past is None in the running part, where it is not written down."""
    for entry in cast("list[int | list[int]]", row["running"]):
        request, new = (entry, 1) if isinstance(entry, int) else entry
        yield request, new, None
    for request, new, past, _ in cast("list[list[int]]", row["admitted"]):
        yield request, new, past


@dataclass(slots=True)
class _Outcome:
    """What has become of one request."""

    request: TraceRequest
    config: TraceConfig
    computed: int = 0
    produced: int = 0  # tokens, those in flight included
    outputs: int = 0  # tokens delivered
    first_sched: int | None = None
    first_token: int | None = None
    finish: int | None = None
    preemptions: int = 0
    cached_first: int | None = None
    cached_all: int = 0

    def compute(self, start: int, new: int, past: int | None, delivered: int | None) -> None:
        """Its part of a step that starts at `start`; tokens come out at `delivered` (None: after the cut)."""
        if past is not None:
            self.computed = past
            self.cached_all += past
            if self.cached_first is None:
                self.first_sched, self.cached_first = start, past
        self.computed += new
        if self.computed < self.request.prompt + self.produced:
            return
        self.produced += 1
        if delivered is None:
            return
        self.outputs += 1
        if self.outputs == 1:
            self.first_token = delivered
        if self.outputs == min(self.request.max_tokens, self.config.max_model_len - self.request.prompt):
            self.finish = delivered

    def preempt(self) -> None:
        """Its tokens so far are computed anew; those in flight still come out."""
        self.computed = 0
        self.preemptions += 1

    def row(self, last_call: int) -> Row:
        """The trace format's row; `last_call` is when arrivals were last taken in."""
        status = "unfinished" if self.finish is None else "finished"
        if not 0 < self.request.prompt < self.config.max_model_len:
            status = "rejected"
        if self.request.arrival_ns > last_call:
            status = "not_arrived"
        return {
            "status": status,
            "first_sched_ns": self.first_sched,
            "first_token_ns": self.first_token,
            "finish_ns": self.finish,
            "n_output": self.outputs,
            "n_preempt": self.preemptions,
            "cached_first": self.cached_first,
            "cached_all": self.cached_all,
        }

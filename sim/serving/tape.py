"""What the engines of a run did, packed: one row per straight run of decode steps and one per step that was
looked at."""

from collections.abc import Sequence
from dataclasses import replace
from struct import Struct
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sim.serving.batch import Batch
from sim.serving.records import Series, StepSegments, straight_time

if TYPE_CHECKING:
    from sim.serving.engine import Engine

_TIMES = ("start", "first", "slope", "waited")
_COUNTS = (
    "steps", "decodes", "context", "chunk_tokens", "chunk_past", "chunks", "yielded", "running", "waiting",
    "held",
)  # fmt: skip
_ROW = np.dtype([*((name, np.float64) for name in _TIMES), *((name, np.int64) for name in _COUNTS)])
_pack = Struct(f"={len(_TIMES)}d{len(_COUNTS)}q").pack

Rows = NDArray[np.void]
"""Rows of one engine, structured by column name."""


class RunTape:
    """The rows of one engine, in time order."""

    __slots__ = ("data",)

    def __init__(self) -> None:
        self.data = bytearray()

    def decode_steps(
        self, engine: "Engine", call: float, start: float, first: float, slope: float, steps: int
    ) -> None:
        """A row of `steps` decode-only steps."""
        scheduler = engine.scheduler
        decodes, context, running, waiting, held = scheduler.load()
        waited, growing = scheduler.waited
        if growing:
            waited += growing * (steps - 1) / 2
        self.data += _pack(
            start, first, slope, steps * waited, steps, decodes, context, 0, 0, 0, scheduler.tokens(steps),
            running, waiting, held,
        )  # fmt: skip

    def step(self, engine: "Engine", call: float, start: float, duration: float, batch: Batch) -> None:
        """A row of one step; a call that only preempted took no time and leaves none."""
        if batch.empty:
            return
        _, _, running, waiting, held = engine.scheduler.load()
        waited, _ = engine.scheduler.waited
        new = past = 0
        for tokens, before in batch.chunks:
            new += tokens
            past += before
        self.data += _pack(
            start, duration, 0.0, waited, 1, batch.decodes, int(batch.sums[0]), new, past, len(batch.chunks),
            batch.yielded + len(batch.firsts), running, waiting, held,
        )  # fmt: skip

    def take_back(self, tokens: int) -> None:
        """So many tokens of the last row were never whole."""
        last = np.frombuffer(self.data, _ROW)[-1:].copy()
        last["yielded"] -= tokens
        self.data[-_ROW.itemsize :] = last.tobytes()

    def rows(self) -> Rows:
        """All rows, a view."""
        return np.frombuffer(self.data, _ROW)

    def clear(self) -> None:
        """Its rows are elsewhere: let go of what may be the largest part of a run."""
        self.data = bytearray()


def spent(rows: Rows) -> NDArray[np.float64]:
    """Seconds of each row."""
    return straight_time(rows["first"], rows["slope"], rows["steps"])


def end_of(tapes: list[Rows]) -> float:
    """When the last step of all ends; 0 without any."""
    return max((float(rows["start"][-1] + spent(rows[-1:])[0]) for rows in tapes if len(rows)), default=0.0)


def segments(tapes: list[Rows]) -> StepSegments:
    """The rows of all replicas as columns."""
    rows = tapes[0] if len(tapes) == 1 else np.concatenate(tapes)
    return StepSegments(
        start=rows["start"],
        first=rows["first"],
        slope=rows["slope"],
        steps=rows["steps"],
        decodes=rows["decodes"],
        context=rows["context"],
        chunk_tokens=rows["chunk_tokens"],
        chunk_past=rows["chunk_past"],
        chunks=rows["chunks"],
        replica=np.repeat(np.arange(len(tapes)), [len(tape) for tape in tapes]),
        yielded=rows["yielded"],
        waited=rows["waited"],
    )


def series(tapes: list[Rows], duration: float, kv_blocks: int, bins: int = 500) -> Series:
    """Time-weighted means of the fleet's state over `bins` equal bins from 0 to `duration`; `kv_blocks` is
    what all engines have together.

    Each row holds its state from its start to its end, and an engine is empty between rows; the integral of
    a state is piecewise linear in time, so a bin's mean is the difference of two interpolated integrals.
    """
    edges = np.linspace(0.0, duration, bins + 1)
    width = duration / bins
    sums = np.zeros((7, bins))
    for rows in tapes:
        if not len(rows):
            continue
        start, busy = rows["start"], spent(rows)
        times = np.column_stack((start, start + busy)).ravel()
        weights = (
            rows["running"] * busy, rows["waiting"] * busy, rows["held"] * busy, busy, rows["steps"],
            rows["yielded"], rows["chunk_tokens"],
        )  # fmt: skip
        for j, weight in enumerate(weights):
            reached = np.cumsum(weight)
            integral = np.column_stack((reached - weight, reached)).ravel()
            sums[j] += np.diff(np.interp(edges, times, integral))
    running, waiting, held, busy, steps, yielded, prompt = sums / width if width else sums
    return Series(
        time=edges[:-1],
        width=width,
        running=running,
        waiting=waiting,
        kv_used=held / max(kv_blocks, 1),
        step_time=np.divide(busy, steps, out=np.zeros(bins), where=steps > 0),
        output_rate=yielded,
        prompt_rate=prompt,
    )


def with_waits(series: Series, waits: Sequence[tuple[float, float]]) -> Series:
    """The series with those who wait outside the engines, (from, to) each."""
    if not waits:
        return series
    edges = np.append(series.time, series.time[-1] + series.width)
    begun, over = (np.sort(np.array(times)) for times in zip(*waits, strict=True))
    since = np.diff(_elapsed(begun, edges) - _elapsed(over, edges))
    return replace(series, waiting=series.waiting + since / series.width)


def _elapsed(times: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Σ max(0, at - t) over the ordered times."""
    before = np.searchsorted(times, at)
    return before * at - np.append(0.0, np.cumsum(times))[before]

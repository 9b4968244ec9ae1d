"""What the engines of a run did, as one flat array of doubles: one row per straight run of decode steps and
one per step that was looked at. Counts are exact in a double up to 2^53."""

from struct import Struct
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sim.serving.batch import Batch
from sim.serving.records import Series, StepSegments

if TYPE_CHECKING:
    from sim.serving.engine import Engine

_COLUMNS = 13
_pack = Struct(f"{_COLUMNS}d").pack


class RunTape:
    """The rows of one engine, in time order."""

    __slots__ = ("data",)

    def __init__(self) -> None:
        self.data = bytearray()

    def decode_steps(
        self, engine: "Engine", call: float, start: float, first: float, slope: float, steps: int
    ) -> None:
        """A row of `steps` decode-only steps."""
        decodes, context, running, waiting, used = engine.scheduler.load()
        self.data += _pack(
            start, first, slope, steps, decodes, context, 0.0, 0.0, 0.0, decodes * steps, running, waiting,
            used,
        )  # fmt: skip

    def step(self, engine: "Engine", call: float, start: float, duration: float, batch: Batch) -> None:
        """A row of one step; a call that only preempted took no time and leaves none."""
        if batch.empty:
            return
        _, _, running, waiting, used = engine.scheduler.load()
        new = past = 0
        for tokens, before in batch.chunks:
            new += tokens
            past += before
        self.data += _pack(
            start, duration, 0.0, 1.0, batch.decodes, batch.sums[0], new, past, len(batch.chunks),
            batch.decodes + len(batch.firsts), running, waiting, used,
        )  # fmt: skip

    def rows(self) -> NDArray[np.float64]:
        """All rows, shape (n, 13), a view."""
        return np.frombuffer(self.data, np.float64).reshape(-1, _COLUMNS)


def segments(tapes: list[NDArray[np.float64]]) -> StepSegments:
    """The rows of all replicas as named columns."""
    rows = tapes[0] if len(tapes) == 1 else np.concatenate(tapes)

    def whole(column: int) -> NDArray[np.int64]:
        return rows[:, column].astype(np.int64)

    return StepSegments(
        start=rows[:, 0],
        first=rows[:, 1],
        slope=rows[:, 2],
        steps=whole(3),
        decodes=whole(4),
        context=whole(5),
        chunk_tokens=whole(6),
        chunk_past=whole(7),
        chunks=whole(8),
        yielded=whole(9),
        replica=np.repeat(np.arange(len(tapes)), [len(tape) for tape in tapes]),
    )


def series(tapes: list[NDArray[np.float64]], duration: float, kv_blocks: int, bins: int = 500) -> Series:
    """Time-weighted means of the fleet's state over `bins` equal bins from 0 to `duration`.

    Each row holds its state from its start to its end, and an engine is empty between rows; the integral of
    a state is piecewise linear in time, so a bin's mean is the difference of two interpolated integrals.
    """
    edges = np.linspace(0.0, duration, bins + 1)
    width = duration / bins
    sums = np.zeros((7, bins))
    for rows in tapes:
        if not len(rows):
            continue
        start, first, slope, steps = rows[:, 0], rows[:, 1], rows[:, 2], rows[:, 3]
        spent = steps * first + slope * (steps * (steps - 1) / 2)
        times = np.column_stack((start, start + spent)).ravel()
        weights = (
            rows[:, 10] * spent,
            rows[:, 11] * spent,
            rows[:, 12] * spent,
            spent,
            steps,
            rows[:, 9],
            rows[:, 6],
        )
        for j, weight in enumerate(weights):
            reached = np.cumsum(weight)
            integral = np.column_stack((reached - weight, reached)).ravel()
            sums[j] += np.diff(np.interp(edges, times, integral))
    running, waiting, used, busy, steps_run, out, prompt = sums / width if width else sums
    steps_run = np.maximum(steps_run, 1e-300)
    return Series(
        time=edges[:-1],
        width=width,
        running=running,
        waiting=waiting,
        kv_used=used / max(kv_blocks * len(tapes), 1),
        step_time=np.where(busy > 0, busy / steps_run, 0.0),
        output_rate=out,
        prompt_rate=prompt,
    )

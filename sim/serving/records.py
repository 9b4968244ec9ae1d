"""What a run leaves behind: one row per request as columns, and binned series of each replica's state."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

FINISHED, REJECTED, UNFINISHED, FAILED = 0, 1, 2, 3
Floats = NDArray[np.float64]

State = Literal["off", "starting", "up", "draining", "dead", "repairing", "reloading", "maintenance"]
"""Of a replica in a fleet that is operated; sim.serving.operation.lifecycle says how they follow."""


class Reason(IntEnum):
    """Why a request has no answer."""

    NONE = 0
    TOO_LONG = 1
    RATE_LIMIT = 2
    QUEUE_FULL = 3
    DEADLINE = 4
    RETRIES = 5
    NO_REPLICA = 6


def straight_time(first: Floats, slope: Floats, steps: NDArray[np.int64]) -> Floats:
    """Seconds of `steps` steps of which step i takes first + slope·i: S·first + slope·S(S-1)/2."""
    return steps * first + slope * (steps * (steps - 1) / 2)


@dataclass(frozen=True, slots=True)
class RequestTable:
    """Per-request columns. Times are s from the start; NaN where a request never got that far.

    `status` is FINISHED, REJECTED (the front end refused it), UNFINISHED (it could never be scheduled) or
    FAILED (it was let in and given up; `finish` is when), `reason` says why. `retries` counts how often it
    was sent again after a failure, `submitted` is when it was sent to the engine that got it; all three are
    empty where a fleet is not operated. `received` is when an engine first got the request from its front
    end, `scheduled` the start of the first step that contains it.
    `prefilled`: when a prefill engine ended its prompt,
    `kv_transfer`: from then to its cache in the decode engine; NaN where nothing was moved, empty without
    disaggregation.
    """

    arrival: NDArray[np.float64]
    received: NDArray[np.float64]
    scheduled: NDArray[np.float64]
    first_token: NDArray[np.float64]
    finish: NDArray[np.float64]
    prompt_tokens: NDArray[np.int64]
    output_tokens: NDArray[np.int64]
    cached_tokens: NDArray[np.int64]
    preemptions: NDArray[np.int64]
    replica: NDArray[np.int64]
    status: NDArray[np.int8]
    client: NDArray[np.int64]
    prefilled: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    kv_transfer: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    reason: NDArray[np.int8] = field(default_factory=lambda: np.empty(0, np.int8))
    retries: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    submitted: Floats = field(default_factory=lambda: np.empty(0))


@dataclass(frozen=True, slots=True)
class Series:
    """At most 2,000 equal bins over the run, all replicas together: time-weighted means of the state.

    `time` holds bin starts (s), `width` the bin's length (s). `running`, `waiting` are sequences,
    `kv_used` the share of KV blocks held by running sequences, `step_time` the mean step (s),
    `output_rate` and `prompt_rate` tokens/s.
    """

    time: NDArray[np.float64]
    width: float
    running: NDArray[np.float64]
    waiting: NDArray[np.float64]
    kv_used: NDArray[np.float64]
    step_time: NDArray[np.float64]
    output_rate: NDArray[np.float64]
    prompt_rate: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class StepSegments:
    """Runs of consecutive decode steps as one row each: what inter-token statistics and the time breakdown
    are computed from. Step i of a row takes first + slope·i, and each of the row's `decodes` sequences sees
    it as an inter-token gap. Rows with prefill have steps = 1 and chunk_tokens > 0. `yielded` counts tokens
    that the row's steps gave to requests. `waited` are the seconds of a row in which the mean of the ranks
    that step together waits for the slowest; empty where nobody does.
    """

    start: NDArray[np.float64]
    first: NDArray[np.float64]
    slope: NDArray[np.float64]
    steps: NDArray[np.int64]
    decodes: NDArray[np.int64]
    context: NDArray[np.int64]
    chunk_tokens: NDArray[np.int64]
    chunk_past: NDArray[np.int64]
    chunks: NDArray[np.int64]
    replica: NDArray[np.int64]
    yielded: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    waited: Floats = field(default_factory=lambda: np.empty(0))

    @property
    def time(self) -> Floats:
        """Seconds of each row."""
        return straight_time(self.first, self.slope, self.steps)


@dataclass(frozen=True, slots=True)
class Recomputes:
    """What preemption cost, one row per preempted sequence that came back: `request` lost its KV cache in the
    step that began at `start` (s) and had its next token at `end` (s)."""

    request: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    start: Floats = field(default_factory=lambda: np.empty(0))
    end: Floats = field(default_factory=lambda: np.empty(0))


@dataclass(frozen=True, slots=True)
class FleetHistory:
    """What became of the replicas of a fleet that is operated.

    Attributes:
        changes: (time, replica, new state), in order; every replica has an entry at time 0.
        failures: (time, kind of part, its place) of everything that broke.
        loads: (start, end) of reading weights, completed ones; `load_bytes` of each, `storage` B/s for all.
        waits: (from, to) of requests that waited at the gateway or in a dead replica.
    """

    changes: tuple[tuple[float, int, State], ...]
    failures: tuple[tuple[float, str, int], ...] = ()
    loads: tuple[tuple[float, float], ...] = ()
    load_bytes: float = 0.0
    storage: float = 0.0
    waits: tuple[tuple[float, float], ...] = ()

    def stays(self, duration: float) -> Iterator[tuple[int, State, float, float]]:
        """(replica, state, from, to) of every stay in a state up to `duration`."""
        since: dict[int, tuple[State, float]] = {}
        for time, replica, state in self.changes:
            now = min(time, duration)
            if replica in since:
                yield (replica, *since[replica], now)
            since[replica] = (state, now)
        for replica, (state, start) in since.items():
            yield replica, state, start, duration

    def time_in(self, duration: float) -> dict[State, float]:
        """Replica-seconds in each state up to `duration`."""
        spent: dict[State, float] = dict.fromkeys(get_args(State), 0.0)
        for _, state, start, end in self.stays(duration):
            spent[state] += end - start
        return spent


@dataclass(frozen=True, slots=True)
class TierUse:
    """What became of a store below the KV caches, over all replicas: tokens that it can hold, holds at the
    end, gave back to prompts (`loaded`), was given (`written`) and dropped; `token_bytes` of each."""

    name: str
    capacity: int
    held: int
    loaded: int
    written: int
    dropped: int
    token_bytes: float


@dataclass(frozen=True, slots=True)
class RunResult:
    """Everything a run produced, before metrics. `kv_blocks` are per attention-dp rank."""

    requests: RequestTable
    series: Series
    segments: StepSegments
    duration: float
    steps: int
    replicas: int
    chips: int
    kv_blocks: int
    block_size: int
    end_reason: str
    clients: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())
    recomputes: Recomputes = field(default_factory=Recomputes)
    history: FleetHistory | None = None
    kv_tiers: tuple[TierUse, ...] = ()

    @property
    def on_share(self) -> float:
        """Share of the replicas' time in which they are not switched off."""
        if self.history is None or not self.duration:
            return 1.0
        return 1.0 - self.history.time_in(self.duration)["off"] / (self.replicas * self.duration)

    @property
    def chip_seconds(self) -> float:
        """Chip time that is paid for."""
        return self.chips * self.duration * self.on_share

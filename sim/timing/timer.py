"""The one interface of all fidelities: how long an engine step takes, and why."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from sim.operators.batch import BatchShape

if TYPE_CHECKING:
    from sim.timing.timeline import StepTimeline

Bound = Literal["compute", "array", "hbm", "link", "launch", "host", "imbalance", "bubble"]
"""What a second of a step is spent on: `array` is multiplying what pads a rigid array, and filling it
(sim.timing.matrix_array), `imbalance` is waiting for the rank with most work, `bubble` a
pipeline stage without a micro-batch."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a step meets: shares of HBM and of links already taken by others, clock factor, routing epoch."""

    hbm_taken: float = 0.0
    link_taken: float = 0.0
    clock: float = 1.0
    epoch: int = 0


CALM = Conditions()


@dataclass(frozen=True, slots=True)
class DramUse:
    """How an operator goes through memory, and what DRAM gives it.

    Attributes:
        pattern: "stream", "gather", "append" or "mixed"; what: of what, in words.
        contiguous: bytes of a piece that lie together, 0 without end; in_channel: those a channel finds in
            a row.
        fraction: f_dram, of the peak; cause: what most of the rest is lost to, "" where that is unknown.
        bandwidth: B/s of the chip that this is, a ceiling on its way included where it applies.
    """

    pattern: str
    what: str
    contiguous: float
    in_channel: float
    fraction: float
    cause: str
    bandwidth: float


@dataclass(frozen=True, slots=True)
class OperatorTime:
    """One operator of a step on the slowest chip, all its repetitions in the step together.

    Attributes:
        name: operator; group: the row of the breakdown it belongs to (attention, experts, dense, …).
        count: how many times it runs in the step.
        time: s, all of them; light: s, the operator's own speed of light (roofline bound), all of them.
        flops, hbm_bytes, wire_bytes: per chip, all of them.
        energy: J per chip above what it draws whenever a step runs (sim.timing.energy).
        bound: what limits it; source: what priced it ("analytic", "roofline", a table's name).
        parts: s by resource, summing to `time`: exclusive shares of the step's critical path.
        levels: s of `parts["link"]` by level of the fabric (the tier's name), summing to it.
        dram: how it goes through memory; None where the price does not depend on that.
    """

    name: str
    group: str
    count: int
    time: float
    light: float
    flops: float
    hbm_bytes: float
    wire_bytes: float
    bound: Bound
    source: str
    parts: dict[Bound, float] = field(default_factory=dict)
    energy: float = 0.0
    levels: dict[str, float] = field(default_factory=dict[str, float])
    dram: DramUse | None = None


@dataclass(frozen=True, slots=True)
class StepBreakdown:
    """One step, operator by operator. `total` is the step's duration (s); `serial` and `light` its two
    roofline numbers: the sum of operator bounds, and the busiest resource's summed work. `timeline` is what
    was simulated to get there, where something was: then an operator's time is its share of the critical
    path."""

    batch: BatchShape
    operators: tuple[OperatorTime, ...]
    total: float
    serial: float
    light: float
    timeline: "StepTimeline | None" = None


class StepTimer(Protocol):
    """Pure: the same arguments give the same numbers."""

    @property
    def windows(self) -> tuple[int, ...]:
        """The windows whose Σ min(context, w) the batch must carry, in order."""
        ...

    def durations(self, batch: BatchShape, k: int = 1, conditions: Conditions = CALM) -> NDArray[np.float64]:
        """Seconds of this step and the k-1 decode steps after it (chunks only in the first)."""
        ...

    def explain(self, batch: BatchShape, conditions: Conditions = CALM) -> StepBreakdown:
        """The step operator by operator; its total equals `durations(batch)[0]`."""
        ...

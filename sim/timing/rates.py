"""The rates a step meets: a chip's peaks under the conditions of the moment."""

from collections.abc import Mapping
from dataclasses import dataclass

from sim.hardware.chip import Chip, KernelFamily
from sim.operators.quantities import Array
from sim.timing.residency import Residency
from sim.timing.timer import Conditions

WORKING_SET = 256 * 1024
"""Bytes a core needs for one tile: a 256 × 256 accumulator, or queries, keys and values of attention."""


@dataclass(frozen=True, slots=True, eq=False)
class Rates:
    """Rates of one chip, SI; each instance is itself only, so that prices can be remembered by it.

    Attributes:
        cores: matrix engines; peaks: FLOP/s by arithmetic type at the present clock.
        hbm: B/s of HBM left by others; feed: B/s at which operands reach the cores from the shared level,
            a read that serves several cores counted for each.
        exp: exponentials/s; vector: FLOP/s of the vector engines.
        scratchpad: bytes of one core's own memory; gap: s between two kernels of a graph that their launch
            times do not contain; link_taken: share of every link taken by others.
        residency: what a repeated measurement finds in the shared memory; None, as in serving, for nothing.
    """

    cores: int
    peaks: Mapping[str, float]
    hbm: float
    feed: float
    exp: float
    vector: float
    scratchpad: float
    gap: float
    link_taken: float
    kernels: KernelFamily
    residency: Residency | None = None

    def from_hbm(self, moved: Array, working_set: Array) -> Array:
        """Bytes of `moved` that come from HBM where executions over `working_set` bytes repeat."""
        return moved if self.residency is None else self.residency.missed(moved, working_set)

    def repeated(self, weights: float) -> float:
        """Bytes of the further copies of the weights that a repeated measurement goes through."""
        return 0.0 if self.residency is None else self.residency.rounds(weights) - weights

    def from_shared(self, moved: Array) -> Array:
        """Seconds in which the shared level delivers what a repeated measurement finds there."""
        repeated = 0.0 if self.residency is None else 1.0
        return moved * (repeated / (self.kernels.gemm_feed * self.feed))

    @property
    def prefetches(self) -> bool:
        """Whether a core can load its next piece of work while it ends one: both fit its memory."""
        return self.scratchpad >= 2 * WORKING_SET

    def mixes(self, weights: str, arithmetic: str) -> bool:
        """Whether the matrix engines take weights and activations of these types as they are. Engines that
        multiply 4-bit floats do so with any narrow float on the other side (PTX tcgen05.mma kind::mxf8f6f4;
        AMD v_mfma_scale_f32 f8f6f4)."""
        narrow = ("fp8", "fp4")
        return weights in narrow and arithmetic in narrow and "fp4" in self.peaks

    def peak(self, dtype: str) -> float:
        """FLOP/s of an arithmetic type; fp16 counts as bf16."""
        return self.peaks["bf16" if dtype == "fp16" else dtype]


def rates(chip: Chip, conditions: Conditions) -> Rates:
    """The chip's rates under `conditions`: clocks scale what the cores do, shares scale HBM and links."""
    compute, clock = chip.compute, conditions.clock
    return Rates(
        compute.cores,
        {dtype: peak * clock for dtype, peak in compute.peak.items()},
        chip.memory.bandwidth * (1.0 - conditions.hbm_taken),
        chip.sram.bandwidth * chip.sram.multicast * clock,
        compute.exp_rate * clock,
        compute.vector_flops * clock,
        chip.sram.per_core,
        chip.dispatch.gap,
        conditions.link_taken,
        chip.kernels,
    )


def share(by_type: Mapping[str, float], dtype: str) -> float:
    """A kernel family's share for an arithmetic type; `default` where the type has none."""
    name = "bf16" if dtype == "fp16" else dtype
    return by_type[name] if name in by_type else by_type["default"]

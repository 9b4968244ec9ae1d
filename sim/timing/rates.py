"""The rates a step meets: a chip's peaks under the conditions of the moment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from sim.deployment.deployment import RunningKernel
from sim.dram.efficiency import dram_efficiency
from sim.hardware.chip import Chip, KernelFamily, Memory
from sim.hardware.stacks import adjusted
from sim.operators import (
    ACTIVATIONS,
    Access,
    Collective,
    DecodeAttention,
    Elementwise,
    ExpertExchange,
    Experts,
    Gemm,
    Hop,
    Operator,
    PrefillAttention,
)
from sim.operators.quantities import Array
from sim.timing.matrix_array import MatrixArray, matrix_array
from sim.timing.residency import Residency
from sim.timing.timer import Conditions, DramUse

KernelKey = tuple[str, str, str]
"""Class of a kernel and the two types it is chosen by."""
WORKING_SET = 256 * 1024
"""Bytes a core needs for one tile: a 256 × 256 accumulator, or queries, keys and values of attention."""


@dataclass(frozen=True, slots=True, eq=False)
class Rates:
    """Rates of one chip, SI; each instance is itself only, so that prices can be remembered by it.

    Attributes:
        cores: matrix engines; peaks: FLOP/s by arithmetic type at the present clock.
        hbm: B/s of HBM left by others, at its peak; shared: B/s of the memory that all cores share, 0 where
            there is none; feed: B/s at which operands reach the cores from it or over the network on chip, a
            read that serves several cores counted for each.
        exp: exponentials/s; vector: FLOP/s of the vector engines.
        scratchpad: bytes of one core's own memory; gap: s between two kernels of a graph that their launch
            times do not contain; link_taken: share of every link taken by others.
        memory: of the chip; hbm_left: share of it left by others.
        running: the same with the parameters of kernels that are not the family's, by class and types.
        array: the matrix engine of a core where it is a rigid array, which small tiles do not fill.
        residency: what a repeated measurement finds in the shared memory; None, as in serving, for nothing.
    """

    cores: int
    peaks: Mapping[str, float]
    hbm: float
    shared: float
    feed: float
    exp: float
    vector: float
    scratchpad: float
    gap: float
    link_taken: float
    kernels: KernelFamily
    memory: Memory
    hbm_left: float
    array: MatrixArray | None = None
    residency: Residency | None = None
    running: Mapping[KernelKey, "Rates"] = field(default_factory=dict[KernelKey, "Rates"])
    _achieved: dict[Access, float] = field(default_factory=dict[Access, float], init=False)

    def of(self, operator: Operator) -> "Rates":
        """These rates with the parameters of the kernel that the engine runs for an operator."""
        return self.running.get(kernel_key(operator), self) if self.running else self

    def achieved(self, access: Access) -> float:
        """B/s that DRAM gives an access, of what others leave: peak · f_dram, within the ceiling on its way
        through the chip where the profile says that it applies."""
        found = self._achieved.get(access)
        if found is None:
            peak, ceiling = self.memory.bandwidth, self.memory.ceiling
            found = peak * dram_efficiency(self.memory).of(access).fraction
            if self.memory.ceiling_applies and ceiling:
                found = min(found, ceiling)
            found = self._achieved[access] = found * self.hbm_left
        return found

    def of_operator(self, operator: Operator) -> DramUse | None:
        """How the operator goes through memory; None for communication."""
        if isinstance(operator, Collective | ExpertExchange | Hop):
            return None
        return self.use(operator.access)

    def use(self, access: Access) -> DramUse:
        """The access and what it gets, as a breakdown shows it."""
        found = dram_efficiency(self.memory, causes=True).of(access)
        return DramUse(
            access.kind,
            access.what,
            access.contiguous,
            found.contiguous,
            found.fraction,
            found.cause,
            self.achieved(access),
        )

    def drawn(self, share: float, access: Access) -> float:
        """B/s of an access at a kernel's share of HBM, where each core has no more in flight than its own
        memory: ‖1/(η·B), t/(n_c·scratchpad)‖_p⁻¹, t the family's `core_fill`."""
        p, cores = self.kernels.overlap_norm, self.cores * self.scratchpad / self.kernels.core_fill
        of_hbm = share * self.achieved(access)
        return of_hbm / (1.0 + (of_hbm / cores) ** p) ** (1.0 / p)

    @property
    def activations(self) -> float:
        """B/s of activations read and written."""
        return self.achieved(ACTIVATIONS)

    def from_hbm(self, moved: Array, working_set: Array) -> Array:
        """Bytes of `moved` that come from HBM where executions over `working_set` bytes repeat."""
        return moved if self.residency is None else self.residency.missed(moved, working_set)

    def repeated(self, weights: float) -> float:
        """Bytes of the further copies of the weights that a repeated measurement goes through."""
        return 0.0 if self.residency is None else self.residency.rounds(weights) - weights

    def from_shared(self, moved: Array) -> Array:
        """Seconds in which the cores are fed what a repeated measurement finds in the shared level."""
        found = 0.0 if self.residency is None else 1.0
        return moved * (found / (self.kernels.gemm_feed * self.feed))

    def streamed(self, moved: Array) -> Array:
        """The same for a streaming kernel, which reads no operand for several cores at once."""
        return np.zeros_like(moved) if self.residency is None else self.residency.streamed(moved)

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


def rates(chip: Chip, conditions: Conditions, running: Sequence[RunningKernel] = ()) -> Rates:
    """The chip's rates under `conditions`: clocks scale what the cores do, shares scale HBM and links.

    Args:
        running: kernels that are not those of the chip's family.
    """
    compute, clock = chip.compute, conditions.clock
    own = Rates(
        compute.cores,
        {dtype: peak * clock for dtype, peak in compute.peak.items()},
        chip.memory.bandwidth * (1.0 - conditions.hbm_taken),
        chip.sram.bandwidth * clock if chip.sram.shared else 0.0,
        chip.sram.bandwidth * chip.sram.multicast * clock,
        compute.exp_rate * clock,
        compute.vector_flops * clock,
        chip.sram.per_core,
        chip.dispatch.gap,
        conditions.link_taken,
        chip.kernels,
        chip.memory,
        1.0 - conditions.hbm_taken,
        matrix_array(chip, clock),
    )
    others = {
        (kernel.operator, *kernel.types): replace(
            own, kernels=replace(adjusted(chip.kernels, kernel.factors), gemm_tiles=kernel.tiles)
        )
        for kernel in running
    }
    return replace(own, running=others) if others else own


def kernel_key(operator: Operator) -> KernelKey:
    """Class and types of an operator's kernel, as `RunningKernel` has them; quantisers go with products."""
    match operator:
        case Gemm():
            return "mla_bmm" if operator.batch > 1 else "gemm", operator.weights, operator.arithmetic
        case Elementwise():
            return "gemm", operator.produces, operator.produces
        case DecodeAttention():
            return "mla_decode" if operator.latent else "attn_decode", "bf16", operator.heads.cache
        case PrefillAttention() if operator.expanded:
            return "mla_prefill", "bf16", operator.heads.cache
        case PrefillAttention():
            return "attn_prefill", operator.arithmetic, operator.heads.cache
        case Experts():
            return "moe", operator.weights, operator.arithmetic
        case _:
            return "", "", ""


def share(by_type: Mapping[str, float], dtype: str) -> float:
    """A kernel family's share for an arithmetic type; `default` where the type has none."""
    name = "bf16" if dtype == "fp16" else dtype
    return by_type[name] if name in by_type else by_type["default"]

"""A chip as plain numbers: what every formula, timer and engine sees. SI units throughout."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sim.hardware.tiling import TileRule


@dataclass(frozen=True, slots=True)
class Compute:
    """Arithmetic of one chip.

    Attributes:
        cores: independent matrix engines with their own scratchpad (SMs, CUs, NPU cores).
        clock: core clock, Hz.
        peak: dense peak FLOP/s of the whole chip by arithmetic type ("bf16", "fp8", "int8", "fp4", …).
        matrix_shape: rows, columns and depth that one core's matrix engine multiplies at once.
        vector_flops: peak FLOP/s of the vector engines of the whole chip (fp32).
        exp_rate: exponentials per second of the whole chip (special function units).
    """

    cores: int
    clock: float
    peak: Mapping[str, float]
    matrix_shape: tuple[int, int, int]
    vector_flops: float
    exp_rate: float


@dataclass(frozen=True, slots=True)
class Sram:
    """On-chip memory: bytes per core, bytes shared (last-level cache or 0), and the aggregate bandwidth
    (B/s) at which operands reach the cores from the shared level, `multicast` cores per read."""

    per_core: float
    shared: float
    bandwidth: float
    multicast: float = 1.0


@dataclass(frozen=True, slots=True)
class Memory:
    """Device memory.

    Attributes:
        bandwidth: peak, B/s; capacity: physical, B; visible: bytes the driver reports.
        outstanding: bytes of reads the chip keeps in flight.
        interleave: bytes a channel holds before the next has its turn; row_piece: of those, neighbours that
            lie in one row; queue: requests among which the controller of a pseudo-channel chooses.
        refresh: "per-bank" or "all-bank".
        ceiling: B/s the vendor states for the way through the chip, 0 if none; it bounds what DRAM gives only
            where `ceiling_applies`.
        device_profile: of a device of the user's own, the profile with each figure's value.
    """

    device: str
    stacks: int
    bandwidth: float
    capacity: float
    visible: float
    outstanding: float
    interleave: float = 512.0
    row_piece: float = 256.0
    queue: float = 128.0
    refresh: str = "per-bank"
    ceiling: float = 0.0
    ceiling_applies: bool = False
    device_profile: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Dispatch:
    """What the command processor adds between two kernels of a graph beyond the family's `*_launch` times
    (`gap`, s; 0 where those were measured kernel to kernel) and how many commands the queue holds."""

    gap: float
    queue: int


@dataclass(frozen=True, slots=True)
class Power:
    """W without a step (`idle`), what a step adds before any work (`active`), thermal design power; J per
    FLOP (at the 16-bit peak type) and per HBM byte; what cores draw goes with clock^`clock_exponent`."""

    idle: float
    tdp: float
    pj_flop: float
    pj_byte: float
    active: float = 0.0
    clock_exponent: float = 2.5


@dataclass(frozen=True, slots=True)
class ArrayKernels:
    """How kernels use a rigid array of multipliers (sim.timing.matrix_array): `load` λ, cycles in which one
    row of weights is shifted in; `fill` φ, the share of filling and draining that a tile does not hide."""

    load: float
    fill: float


@dataclass(frozen=True, slots=True)
class KernelFamily:
    """Few physical parameters of a chip family's kernels (docs/operators.md gives formula and source).

    Fractions multiply datasheet peaks; times are seconds. `*_mma` is the share of the matrix peak a
    saturated kernel sustains, `*_hbm` the share of HBM bandwidth (DRAM and kernel loss as one prior),
    `*_launch` the fixed time of a kernel inside a graph, `*tile_latency` that of one tile on its core,
    `*_core_hbm` how many times its even share of HBM bandwidth one core can draw, `*_unpack` the vector
    operations that turn one stored weight into an operand, `*_convert` those that a value of a cache of a
    type takes.

    How kernels are built: `gemm_split_k` is 1 where a product's inner dimension may be split,
    `gemm_largest_tile` the longest side of its tiles; `gemm_tiles`, where there are any, are the rules by
    which a library takes its tiles, and a row of such a tile beyond the product's last costs `gemm_beyond` of
    one within; a step of the inner loop takes `gemm_step` at least. `quant_kernels` quantise activations
    before a product, go `quant_passes` times through what they read and write, and take a core `quant_row` a
    row; prompts of `mla_prefill_expands` tokens and more have their latents expanded, shorter ones run
    absorbed;
    `mla_decode_split` 1 where a context is split over cores; `moe_own_pairs` 1 where the kernels around the
    experts go through a rank's own (token, expert) pairs, 0 where through those of all ranks. `array`: of
    chips whose matrix engines are rigid arrays, which tiles of a product must fill; None for all others.
    """

    name: str
    gemm_mma: Mapping[str, float]
    gemm_hbm: float
    gemm_launch: float
    gemm_feed: float
    gemm_unpack: float
    gemm_core_hbm: float
    core_fill: float
    gemm_split_k: Mapping[str, float]
    gemm_largest_tile: Mapping[str, float]
    gemm_beyond: float
    gemm_step: float
    tile_latency: float
    split_k_launch: float
    overlap_norm: float
    quant_launch: float
    quant_kernels: Mapping[str, float]
    quant_passes: Mapping[str, float]
    quant_row: float
    prefill_mma: Mapping[str, float]
    prefill_exp: float
    prefill_launch: float
    prefill_passes: Mapping[str, float]
    mla_prefill_passes: Mapping[str, float]
    mla_prefill_expands: float
    prefill_tile_latency: float
    decode_hbm: float
    decode_mma: float
    decode_launch: float
    decode_core_hbm: float
    decode_convert: Mapping[str, float]
    mla_decode_hbm: float
    mla_decode_mma: float
    mla_decode_launch: float
    mla_decode_convert: Mapping[str, float]
    mla_decode_split: float
    moe_mma: Mapping[str, float]
    moe_hbm: float
    moe_launch: float
    moe_unpack: float
    moe_io_passes: Mapping[str, float]
    moe_io_ops: float
    moe_own_pairs: float
    elementwise_hbm: float
    elementwise_launch: float
    gemm_tiles: tuple[TileRule, ...] = ()
    array: ArrayKernels | None = None


@dataclass(frozen=True, slots=True)
class Chip:
    """A resolved chip profile. `dma_engines` counts copy engines; `noc_bandwidth` is B/s, 0 if unstated;
    `rental` is USD per chip-hour and `capex` USD per chip with its share of the server, each 0 if unknown;
    `time_factors` is the model's own error by class of operators, empty unless it is drawn; `clock_share` is
    what a power limit leaves of the clock, and its rates are at that."""

    name: str
    title: str
    vendor: str
    compute: Compute
    sram: Sram
    noc_bandwidth: float
    memory: Memory
    dispatch: Dispatch
    dma_engines: int
    power: Power
    kernels: KernelFamily
    rental: float
    capex: float = 0.0
    time_factors: Mapping[str, float] = field(default_factory=dict[str, float])
    clock_share: float = 1.0

    def peak(self, dtype: str) -> float:
        """Dense peak FLOP/s of an arithmetic type; fp16 counts as bf16.

        Raises:
            KeyError: for a type this chip has no arithmetic for.
        """
        return self.compute.peak["bf16" if dtype == "fp16" else dtype]

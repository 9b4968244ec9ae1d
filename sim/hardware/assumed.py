"""What is assumed of a chip or a link where its profile says nothing: one rule per figure, each with a range.

The rules are proportions between figures of today's accelerators, so that a profile of ten lines can
be simulated, and each of them shows up among the assumptions of the result.
"""

from collections.abc import Callable
from math import log2
from typing import cast

from sim.figures import Figure
from sim.hardware.memory_devices import ENERGY, UNKNOWN_ENERGY
from sim.hardware.schema import ChipProfile, TierProfile
from sim.units import (
    BANDWIDTH,
    BYTES,
    ENERGY_PER_BYTE,
    ENERGY_PER_FLOP,
    FLOP_RATE,
    NUMBER,
    OP_RATE,
    POWER,
    TIME,
    Dimension,
)

Rule = Callable[[ChipProfile], Figure]


def assumed(profile: ChipProfile, path: str) -> Figure:
    """The assumption for a figure the profile leaves out.

    Args:
        path: such as "power.idle"; one of `RULES`.
    """
    return RULES[path](profile)


def _times(base: float, low: float, value: float, high: float, dimension: Dimension, why: str) -> Figure:
    return Figure(base * value, dimension, base * low, base * high, "assumption", why)


def _reference_peak(profile: ChipProfile) -> float:
    """Peak of 16-bit floats, or of the slowest type the chip has."""
    peak = profile.compute.peak
    return peak["bf16"].value if "bf16" in peak else min(figure.value for figure in peak.values())


def _vector_flops(profile: ChipProfile) -> Figure:
    why = "1/16 of the 16-bit matrix peak, as on A100 (1/16), H100 (1/15), MI300X (1/8)"
    return _times(_reference_peak(profile), 1 / 32, 1 / 16, 1 / 8, FLOP_RATE, why)


def _array_side(profile: ChipProfile) -> Figure:
    """A power of two, whose square comes nearest to the multiplications of a core in a cycle."""
    compute = profile.compute
    macs = _reference_peak(profile) / (2.0 * compute.cores.value * compute.clock.value)
    side = 2.0 ** max(0, round(log2(macs) / 2.0))
    why = f"a square array of a core's {macs:,.0f} multiplications in a cycle, 16-bit"
    return Figure(side, NUMBER, max(1.0, side / 2.0), 2.0 * side, "assumption", why)


def _exp_rate(profile: ChipProfile) -> Figure:
    vector = (profile.compute.vector_flops or _vector_flops(profile)).value
    why = "1/16 of the vector peak, as on H100 (1/16) and A100 (1/8)"
    return _times(vector, 1 / 32, 1 / 16, 1 / 8, OP_RATE, why)


def _feed(profile: ChipProfile) -> Figure:
    why = "one operand byte per 85 FLOP at 16 bits: tiles of 128 by 256 keep the matrix engines busy"
    return _times(_reference_peak(profile), 1 / 170, 1 / 85, 1 / 40, BANDWIDTH, why)


def _visible(profile: ChipProfile) -> Figure:
    why = "0.985 of the physical capacity is left by firmware and driver"
    return _times(profile.memory.capacity.value, 0.97, 0.985, 1.0, BYTES, why)


def _outstanding(profile: ChipProfile) -> Figure:
    why = "latency times bandwidth at 1 µs loaded latency; GPUs show 0.5-0.9 µs unloaded"
    return _times(profile.memory.bandwidth.value, 0.5e-6, 1e-6, 2e-6, BYTES, why)


def _byte_energy(profile: ChipProfile) -> Figure:
    return ENERGY.get(profile.memory.device, UNKNOWN_ENERGY)


def _idle(profile: ChipProfile) -> Figure:
    return _times(profile.power.tdp.value, 0.08, 0.15, 0.25, POWER, "0.15 of TDP")


def _active(profile: ChipProfile) -> Figure:
    why = "0.2 of TDP for clocks and schedulers; GPUs in decode draw 0.5-0.7 of TDP (POLCA, ASPLOS 2024)"
    return _times(profile.power.tdp.value, 0.1, 0.2, 0.3, POWER, why)


def _flop_energy(profile: ChipProfile) -> Figure:
    """What the design power leaves at the 16-bit peak beside idle, active and HBM at its peak."""
    power, tdp = profile.power, profile.power.tdp.value
    idle, active = (power.idle or _idle(profile)).value, (power.active or _active(profile)).value
    memory = (power.pj_byte or _byte_energy(profile)).value * profile.memory.bandwidth.value
    left = max(tdp - idle - active - memory, _LEAST_COMPUTE * tdp)
    why = f"{left / tdp:.2g} of TDP: what idle, active and memory at its peak leave at the 16-bit peak"
    return _times(left / _reference_peak(profile), 0.7, 1.0, 1.3, ENERGY_PER_FLOP, why)


_PICOJOULE_PER_BIT = 8e-12
_LEAST_COMPUTE = 0.2
"""Of the design power, which matrix engines are given even where memory would leave them less."""


def _link_energy(low: float, value: float, high: float, why: str) -> Figure:
    low, value, high = (_PICOJOULE_PER_BIT * each for each in (low, value, high))
    return Figure(value, ENERGY_PER_BYTE, low, high, "estimate", why)


ELECTRICAL = _link_energy(
    6, 12, 20, "two hops of 4.5-6.5 pJ/bit (112G long-reach serial links at ISSCC, 2020-23) and a switch"
)
PCI_EXPRESS = _link_energy(
    7, 13, 25, "two hops of 6.5 pJ/bit: NVIDIA states NVLink-C2C at 1.3 pJ/bit as a fifth of PCIe 5.0's"
)
OPTICAL = _link_energy(
    10, 25, 60, "400G and 800G modules 17-25 pJ/bit each end; much of it flows without traffic, as overhead"
)
"""J per byte that a chip sends, all hops to the receiver together."""


def _tier_energy(tier: TierProfile) -> Figure:
    if tier.topology == "pcie":
        return PCI_EXPRESS
    return OPTICAL if tier.name == "scale_out" else ELECTRICAL


def _same(figure: Figure) -> Rule:
    return lambda _profile: figure


def _constant(low: float, value: float, high: float, dimension: Dimension, why: str) -> Rule:
    return _same(Figure(value, dimension, low, high, "assumption", why))


CONTROLLER_FIGURES: dict[str, Figure] = {
    "interleave": Figure(
        512,
        BYTES,
        256,
        4096,
        "assumption",
        "256 B to each pseudo-channel of a channel; mappings of GPUs hold 256 B to 4 KiB",
    ),
    "row_piece": Figure(
        256,
        BYTES,
        128,
        1024,
        "assumption",
        "two cache lines of 128 B; gathers of KV blocks reach 0.8-0.9 of peak on A100 and H100",
    ),
    "queue": Figure(
        128,
        NUMBER,
        32,
        256,
        "assumption",
        "requests that a pseudo-channel's controller chooses among, with the write-back cache behind it",
    ),
}
"""How requests meet the memory of a chip that says nothing of it."""

RULES: dict[str, Rule] = {
    "compute.matrix_shape.0": _constant(1, 8, 64, NUMBER, "rows multiplied at once: 1 on Trainium, 8 on TPU"),
    "compute.matrix_shape.1": _array_side,
    "compute.matrix_shape.2": _array_side,
    "compute.vector_flops": _vector_flops,
    "compute.exp_rate": _exp_rate,
    "sram.bandwidth": _feed,
    "sram.multicast": _constant(1, 1, 2, NUMBER, "no operand serves several cores at once"),
    "memory.visible": _visible,
    "memory.outstanding": _outstanding,
    "memory.interleave": _constant(
        256,
        512,
        4096,
        BYTES,
        "256 B to each pseudo-channel of a channel; mappings of GPUs hold 256 B to 4 KiB",
    ),
    "memory.row_piece": _constant(
        128,
        256,
        1024,
        BYTES,
        "two cache lines of 128 B to one activation; single ones would be bound by tFAW",
    ),
    "memory.queue": _constant(
        32,
        128,
        256,
        NUMBER,
        "requests a pseudo-channel's controller chooses among, write-back cache included",
    ),
    "dispatch.gap": _constant(0.5e-6, 2e-6, 10e-6, TIME, "a command processor in graph mode"),
    "dispatch.queue": _constant(64, 1024, 4096, NUMBER, "commands in the hardware queue"),
    "dma.engines": _constant(2, 4, 16, NUMBER, "copy engines"),
    "power.idle": _idle,
    "power.active": _active,
    "power.pj_flop": _flop_energy,
    "power.pj_byte": _byte_energy,
    "power.clock_exponent": _constant(
        2.0,
        2.5,
        3.0,
        NUMBER,
        "power ~ f·V²; 3 where voltage follows the clock, less near its floor",
    ),
}


def _of_links(low: float, value: float, high: float, why: str) -> Figure:
    return Figure(value, NUMBER, low, high, "assumption", why)


_BOTH = "NCCL tables of A100 and H100 fitted together"
_NORMAL = "fitted to DeepEP's normal kernels on 1-8 nodes of eight H100, aiconfigurator"
_DIRECT = "fitted to DeepEP's low-latency kernels on 1-8 nodes of eight H100, aiconfigurator"
LINK_RULES: dict[str, Figure] = {
    "ramp": _of_links(1.0, 1.6, 2.0, f"{_BOTH}; 2 is a pipeline of equal chunks"),
    "flagged_share": _of_links(0.4, 0.53, 0.6, f"{_BOTH}; a flag per four bytes of data halves the link"),
    "widening": _of_links(0.1, 0.25, 0.5, f"{_BOTH}; 0.15-0.4 of their latencies at 64 KiB"),
    "bulk_launches": _of_links(1.5, 2.9, 4, f"{_BOTH}; 14 µs on H100, 24 µs on A100"),
    "direct_launches": _of_links(1.0, 1.35, 2.0, f"{_BOTH}; sooner than a ring's chunks"),
    "copy_share": _of_links(0.3, 0.45, 0.8, f"{_BOTH}; 495 GB/s on A100, 740 GB/s on H100, read and written"),
    "two_shot_share": _of_links(0.6, 0.82, 0.9, "two-shot all-reduce kernels on A100 and H100"),
    "exchange_launches": _of_links(
        2, 5, 8, "normal kernels of DeepEP take 26-33 µs, a library launch 4.8-8.4 µs"
    ),
    "exchange_core_rate": Figure(
        28.7e9, BANDWIDTH, 18e9, 35e9, "assumption", "one SM of DeepEP's normal kernels on H100 and B200"
    ),
    "exchange_message": Figure(0.098e-6, TIME, 0.05e-6, 0.2e-6, "assumption", _NORMAL),
    "exchange_send_passes": _of_links(1.0, 1.29, 1.6, f"{_NORMAL}: a token is read once"),
    "exchange_sum_passes": _of_links(2.0, 3.13, 4.5, f"{_NORMAL}: a result is read, added up and written"),
    "exchange_buffering": _of_links(1.2, 1.74, 2.2, f"{_NORMAL}: one more buffer each way would be 2"),
    "exchange_first": _of_links(3.0, 5.36, 8.0, f"{_NORMAL}: a core runs 4 to 8 such warps at once"),
}
"""What a tier of any fabric is given."""

LOW_LATENCY_RULES: dict[str, Figure] = {
    "peer_share": _of_links(0.01, 0.02, 0.04, "low-latency all-reduce kernels on A100 and H100"),
    "one_shot_share": _of_links(
        0.5, 0.64, 0.8, "0.57 of the link against 0.68 of two-shot kernels on A100 and H100"
    ),
    "two_shot_starts": _of_links(
        2.0, 2.35, 2.7, "two-shot all-reduce kernels on A100 and H100: a second barrier over all chips"
    ),
    "switch_shot_starts": _of_links(1.5, 2.0, 2.5, "kernels that sum in the switch: two barriers"),
    "exchange_rank_step": _of_links(
        0.6, 1.0, 1.3, "3.2 µs for each doubling in DeepEP, a one-shot kernel 2.9-5 µs"
    ),
    "exchange_expert_step": _of_links(
        0.001, 0.003, 0.005, "9 ns for each expert in DeepEP, a one-shot kernel 2.9-5 µs"
    ),
    "exchange_share": _of_links(0.45, 0.62, 0.8, "low-latency DeepEP on eight H100: 0.58 of the link"),
    "exchange_sum_share": _of_links(0.7, 0.84, 1.0, _DIRECT),
    "exchange_unpack_rate": Figure(4.3e9, BANDWIDTH, 2.5e9, 8e9, "assumption", _DIRECT),
}
"""What a tier with low-latency kernels is given besides."""

LINK_FIGURES = (*LINK_RULES, *LOW_LATENCY_RULES, "pj_byte")
"""All of these."""


def link_figures(tier: TierProfile) -> dict[str, Figure]:
    """The figures of collectives over a tier by field: the stated one, or the assumption.

    Those of low-latency kernels are left out where the fabric has none: nothing rests on them there.
    """
    rules = LINK_RULES | {"pj_byte": _tier_energy(tier)}
    if tier.low_latency is not None and tier.low_latency.value > 0:
        rules = rules | LOW_LATENCY_RULES
    return {name: cast("Figure | None", getattr(tier, name)) or rule for name, rule in rules.items()}

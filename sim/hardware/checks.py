"""Physics a profile must obey (refused) and should obey (remarked on by `hardware check`)."""

from sim.documents import Document
from sim.errors import UserError
from sim.figures import Figure
from sim.hardware.kernels import Dtype
from sim.hardware.memory_devices import PINS
from sim.hardware.schema import ChipProfile, MemoryProfile
from sim.units import BANDWIDTH, BYTES, show

_TOLERANCE = 0.02
_BITS = 8
_WIDER: dict[Dtype, Dtype] = {"fp4": "fp8", "int4": "int8", "fp8": "bf16", "int8": "bf16"}


def refuse_contradictions(profile: ChipProfile, document: Document, prefix: tuple[str | int, ...]) -> None:
    """A profile that contradicts itself is refused.

    stacks · pins · pin_rate / 8 = bandwidth within 2 %; visible ≤ capacity.

    Raises:
        UserError: naming file, line and both sides.
    """
    for field, contradiction in (
        ("bandwidth", _off_pins(profile.memory)),
        ("visible", _too_visible(profile.memory)),
    ):
        if contradiction:
            raise UserError(f"{document.where((*prefix, 'memory', field))}: {contradiction}")


def _off_pins(memory: MemoryProfile) -> str:
    if memory.pin_rate is None:
        return ""
    pins = PINS[memory.device] if memory.device_profile is None else memory.device_profile.pins
    # a pin rate is written in b/s and held in B/s, so the division by 8 is done
    product = memory.stacks.value * pins * memory.pin_rate.value
    if abs(product / memory.bandwidth.value - 1) <= _TOLERANCE:
        return ""
    rate = memory.pin_rate.value * _BITS / 1e9
    return (
        f"{show(memory.bandwidth.value, BANDWIDTH)} is more than 2 % off {memory.stacks.value:g} stacks of "
        f"{pins} pins at {rate:g} Gb/s, which is {show(product, BANDWIDTH)}"
    )


def _too_visible(memory: MemoryProfile) -> str:
    if memory.visible is None or memory.visible.value <= memory.capacity.value:
        return ""
    visible, capacity = show(memory.visible.value, BYTES), show(memory.capacity.value, BYTES)
    return f"{visible} is more than the capacity of {capacity}"


def remarks(profile: ChipProfile) -> list[str]:
    """What looks like a slip of unit or prefix, each as a sentence; empty for a plausible chip."""
    found = [*_intensity(profile), *_ratios(profile), *_per_core(profile), *_energy(profile)]
    return [text for text in found if text]


def _reference(profile: ChipProfile) -> Figure:
    peak = profile.compute.peak
    return peak["bf16"] if "bf16" in peak else min(peak.values(), key=lambda figure: figure.value)


def _intensity(profile: ChipProfile) -> list[str]:
    """Peak FLOP per byte of memory bandwidth: 50 … 1,000 on today's accelerators."""
    balance = _reference(profile).value / profile.memory.bandwidth.value
    if 20 <= balance <= 2000:
        return []
    return [
        f"compute.peak over memory.bandwidth is {balance:.3g} FLOP/B; accelerators lie between 20 and 2000"
    ]


def _ratios(profile: ChipProfile) -> list[str]:
    """A type half as wide runs at most four times as fast."""
    peak = profile.compute.peak
    return [
        f"compute.peak.{narrow} is more than four times compute.peak.{wide}"
        for narrow, wide in _WIDER.items()
        if narrow in peak and wide in peak and peak[narrow].value > 4 * peak[wide].value
    ]


def _per_core(profile: ChipProfile) -> list[str]:
    """FLOP per core and clock: 512 (a CU) … 2²⁰ (a whole systolic tensor core)."""
    work = _reference(profile).value / (profile.compute.cores.value * profile.compute.clock.value)
    if 128 <= work <= 2**21:
        return []
    return [f"compute.peak means {work:.3g} FLOP per core and clock; check cores and clock"]


def _energy(profile: ChipProfile) -> list[str]:
    """Idle power below TDP."""
    idle, tdp = profile.power.idle, profile.power.tdp
    return ["power.idle is not below power.tdp"] if idle and idle.value >= tdp.value else []

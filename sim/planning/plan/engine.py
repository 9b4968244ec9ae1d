"""The engine that a candidate is planned under: its own, the plan's, or the one its chips' vendor ships."""

from collections.abc import Mapping

from sim.hardware.schema import ChipProfile

_BY_VENDOR = {"rebellions": "vllm-rbln", "furiosaai": "furiosa-llm", "furiosa": "furiosa-llm"}
_BY_FAMILY = {"npu": "generic-npu"}


def engine_of(chip: ChipProfile, plan: Mapping[str, object], own: Mapping[str, object]) -> dict[str, object]:
    """The raw engine of a candidate: what it states goes before what the plan states for all, and a family
    that neither names is that of the chip's vendor; GPUs have the default."""
    native = _BY_VENDOR.get(chip.vendor.lower()) or _BY_FAMILY.get(chip.family)
    return ({"family": native} if native else {}) | dict(plan) | dict(own)

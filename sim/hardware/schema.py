"""What a chip's and a cluster's profile may say. The reference is docs/hardware-profiles.md.

Every number is a plain quantity or a Figure. Fields that may be left out get the assumptions of
`sim.hardware.assumed`.
"""

from itertools import pairwise
from math import prod
from typing import Annotated, Literal, cast

from pydantic import Field, ValidationInfo, field_validator, model_validator

from sim.errors import nearest, unknown
from sim.figures import (
    BandwidthFigure,
    BytesFigure,
    EnergyPerByteFigure,
    EnergyPerFlopFigure,
    HourlyPriceFigure,
    NumberFigure,
    PowerFigure,
    PriceFigure,
    TimeFigure,
)
from sim.hardware.cluster import AlgorithmName, Topology
from sim.hardware.fields import Count, Factor, FlopRate, Frequency, OpRate, Part, Power, Share, Size, Speed
from sim.hardware.kernels import Dtype, Kernels
from sim.hardware.memory_devices import PINS
from sim.hardware.memory_profile import MemoryDeviceProfile


class ComputeProfile(Part):
    """Arithmetic of the whole chip; `peak` is dense, by arithmetic type ("bf16" stands for 16-bit floats)."""

    cores: Count
    clock: Frequency
    peak: Annotated[dict[Dtype, FlopRate], Field(min_length=1)]
    matrix_shape: tuple[Count, Count, Count] | None = None
    vector_flops: FlopRate | None = None
    exp_rate: OpRate | None = None


class SramProfile(Part):
    """On-chip memory: per core, shared by all cores, the rate at which operands reach the cores, and how many
    cores one read of an operand can serve."""

    per_core: Size
    shared: BytesFigure | None = None
    bandwidth: Speed | None = None
    multicast: Factor | None = None


class NocProfile(Part):
    """The network between the cores."""

    bandwidth: BandwidthFigure


class MemoryProfile(Part):
    """Device memory; `pin_rate` is a checksum: stacks · pins · pin_rate = bandwidth within 2 %.

    `device_profile` is what a path in `device` led to. `ceiling` is the bandwidth a vendor states for the way
    through the chip; it is shown beside ours, and bounds it only where `ceiling_applies`.
    """

    device: str
    device_profile: MemoryDeviceProfile | None = None
    stacks: Count
    bandwidth: Speed
    capacity: Size
    pin_rate: Speed | None = None
    visible: Size | None = None
    outstanding: Size | None = None
    interleave: Size | None = None
    row_piece: Size | None = None
    queue: Count | None = None
    refresh: Literal["per-bank", "all-bank"] = "per-bank"
    ceiling: Speed | None = None
    ceiling_applies: bool = False

    @model_validator(mode="after")
    def _device_is_known(self) -> "MemoryProfile":
        if self.device_profile is None and self.device not in PINS:
            raise ValueError(unknown("memory device", self.device, PINS))
        return self


class DispatchProfile(Part):
    """The command processor."""

    gap: TimeFigure | None = None
    queue: Count | None = None


class DmaProfile(Part):
    """Copy engines."""

    engines: Count


class LinksProfile(Part):
    """The chip's own links, per direction: to its peers in the server, to the network, to the host."""

    scale_up: BandwidthFigure
    scale_out: BandwidthFigure | None = None
    host: Speed


class PowerProfile(Part):
    """Power of the chip or card and energy of its work."""

    tdp: Power
    idle: PowerFigure | None = None
    active: PowerFigure | None = None
    pj_flop: EnergyPerFlopFigure | None = None
    pj_byte: EnergyPerByteFigure | None = None
    clock_exponent: Factor | None = None


class PriceProfile(Part):
    """Rental per chip-hour; purchase price per chip with its share of the server."""

    rental: HourlyPriceFigure | None = None
    capex: PriceFigure | None = None


class ChipProfile(Part):
    """One accelerator. `family` names the kernel parameters that `kernels` holds once the profile is read."""

    schema_version: Annotated[Literal[1], Field(alias="schema")] = 1
    name: str
    title: str = ""
    vendor: str = ""
    year: int | None = None
    note: str = ""
    family: str
    compute: ComputeProfile
    sram: SramProfile
    noc: NocProfile | None = None
    memory: MemoryProfile
    dispatch: DispatchProfile = DispatchProfile()
    dma: DmaProfile | None = None
    links: LinksProfile
    power: PowerProfile
    price: PriceProfile = PriceProfile()
    kernels: Kernels


class TierProfile(Part):
    """One level of the fabric; the fields are those of `sim.hardware.cluster.Tier`.

    `fabric` names the file the link's figures came from; those from `ramp` on may be left to the rules of
    `sim.hardware.assumed`. A tier called scale_up or scale_out has the
    bandwidth of the chip's link of that name unless it states its own.
    """

    name: str
    fabric: str = ""
    domain: Annotated[int, Field(ge=1, strict=True)]
    topology: Topology
    dimensions: tuple[Annotated[int, Field(ge=1, strict=True)], ...] = ()
    algorithms: tuple[AlgorithmName, ...] = ()
    bandwidth: Speed | None = None
    shared: Annotated[int, Field(ge=1, strict=True)] = 1
    oversubscription: Factor | None = None
    static_share: Share | None = None
    behind: str = ""
    latency: TimeFigure
    efficiency: Share
    hop: TimeFigure
    launch: TimeFigure
    low_latency: TimeFigure | None = None
    eager_launch: TimeFigure | None = None
    reduction: BandwidthFigure | None = None
    through_host: bool = False
    pj_byte: EnergyPerByteFigure | None = None
    ramp: NumberFigure | None = None
    flagged_share: Share | None = None
    widening: NumberFigure | None = None
    bulk_launches: NumberFigure | None = None
    direct_launches: NumberFigure | None = None
    copy_share: Share | None = None
    peer_share: NumberFigure | None = None
    one_shot_share: Share | None = None
    two_shot_share: Share | None = None
    two_shot_starts: NumberFigure | None = None
    switch_shot_starts: NumberFigure | None = None
    exchange_launches: NumberFigure | None = None
    exchange_core_rate: Speed | None = None
    exchange_message: TimeFigure | None = None
    exchange_send_passes: NumberFigure | None = None
    exchange_sum_passes: NumberFigure | None = None
    exchange_buffering: NumberFigure | None = None
    exchange_first: NumberFigure | None = None
    exchange_rank_step: NumberFigure | None = None
    exchange_expert_step: NumberFigure | None = None
    exchange_share: Share | None = None
    exchange_sum_share: Share | None = None
    exchange_unpack_rate: Speed | None = None


NOT_TIERS = frozenset({
    "array", "bubble", "compute", "hbm", "host", "idle", "imbalance", "interference", "launch", "link",
    "preemption", "gateway", "front_end", "queueing", "transfer",
})  # fmt: skip
"""Where else a result says time goes (docs/attribution.md); a tier's time is reported under its own name."""


class ClusterProfile(Part):
    """Chips of one kind in a box or in several, with the tiers of links that join them, innermost first."""

    schema_version: Annotated[Literal[1], Field(alias="schema")] = 1
    name: str
    title: str = ""
    note: str = ""
    chip: ChipProfile
    chips: Annotated[int, Field(ge=1, strict=True)]
    tiers: Annotated[list[TierProfile], Field(min_length=1)]
    overhead_power: PowerFigure
    power_cap: Power | None = None

    @field_validator("tiers")
    @classmethod
    def _tiers_have_names_of_their_own(cls, tiers: list[TierProfile]) -> list[TierProfile]:
        for place, tier in enumerate(tiers):
            if tier.name in NOT_TIERS:
                reserved = ", ".join(sorted(NOT_TIERS))
                raise ValueError(f"no tier can be called '{tier.name}': results report under {reserved}")
            if tier.name in [inner.name for inner in tiers[:place]]:
                raise ValueError(f"two tiers are called '{tier.name}'")
        return tiers

    @field_validator("tiers")
    @classmethod
    def _tiers_fit(cls, tiers: list[TierProfile], info: ValidationInfo) -> list[TierProfile]:
        domains = [tier.domain for tier in tiers]
        for inner, outer in pairwise(domains):
            if outer <= inner or outer % inner:
                raise ValueError(f"domain {outer} must be a larger multiple of the domain {inner} inside it")
        chips, chip = (
            cast("int | None", info.data.get("chips")),
            cast("ChipProfile | None", info.data.get("chip")),
        )
        if chips is not None and domains[-1] != chips:
            raise ValueError(f"the outermost domain is {domains[-1]}, but chips is {chips}")
        for place, tier in enumerate(tiers):
            inside = [inner.name for inner in tiers[:place]]
            if tier.behind and tier.behind not in inside:
                raise ValueError(
                    f"tier '{tier.name}' is behind '{tier.behind}', which is no tier inside it"
                    f"{nearest(tier.behind, inside)}"
                )
            if tier.dimensions and prod(tier.dimensions) != tier.domain // (
                tiers[place - 1].domain if place else 1
            ):
                raise ValueError(
                    f"tier '{tier.name}': the dimensions {tier.dimensions} do not give its units"
                )
            if chip is not None and tier.domain > 1 and _speed(tier, chip, tiers) == 0:
                raise ValueError(f"tier '{tier.name}' needs a 'bandwidth': the chip has no link of that name")
        return tiers


def _speed(tier: TierProfile, chip: ChipProfile, tiers: list[TierProfile]) -> float:
    port = _ported(tier, tiers)
    figure = port.bandwidth or link_of(chip, port.name)
    return 0.0 if figure is None else figure.value


def _ported(tier: TierProfile, tiers: list[TierProfile]) -> TierProfile:
    """The tier whose links have this one's bandwidth: itself, or, if it states none, the one it is behind."""
    if not tier.behind or tier.bandwidth is not None:
        return tier
    return _ported(next(inner for inner in tiers if inner.name == tier.behind), tiers)


def link_of(chip: ChipProfile, tier: str) -> BandwidthFigure | None:
    """The chip's own link for a tier of this name."""
    return {"scale_up": chip.links.scale_up, "scale_out": chip.links.scale_out}.get(tier)

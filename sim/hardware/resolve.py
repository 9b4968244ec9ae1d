"""From profiles to plain numbers: every Figure becomes one SI float, its value or its draw.

Each figure is remembered in the resolution, so that a result lists what it rests on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from sim.figures import Figure, Resolution
from sim.hardware.assumed import LINK_FIGURES, assumed, link_figures
from sim.hardware.chip import Chip, Compute, Dispatch, Memory, Power, Sram
from sim.hardware.cluster import Cluster, Tier
from sim.hardware.kernels import resolve_kernels
from sim.hardware.memory_profile import plain_device
from sim.hardware.model_error import time_factors
from sim.hardware.schema import ChipProfile, ClusterProfile, MemoryProfile, link_of


def resolve_cluster(profile: ClusterProfile, resolution: Resolution) -> Cluster:
    """The cluster and its chip as floats; paths are relative to the resolution's prefix."""
    chip = resolve_chip(profile.chip, resolution.within("chip"))
    tiers: list[Tier] = []
    for place in range(len(profile.tiers)):
        tiers.append(_tier(profile, place, resolution, tiers))
    return Cluster(
        name=profile.name,
        title=profile.title or profile.name,
        chip=chip,
        chips=profile.chips,
        tiers=tuple(tiers),
        host_bandwidth=resolution.take("chip.links.host", profile.chip.links.host),
        overhead_power=resolution.take("overhead_power", profile.overhead_power),
        power_cap=0.0 if profile.power_cap is None else resolution.take("power_cap", profile.power_cap),
    )


def _tier(profile: ClusterProfile, place: int, resolution: Resolution, inside: Sequence[Tier]) -> Tier:
    tier = profile.tiers[place]
    here = resolution.within(f"tiers.{place}")

    def stated(name: str, otherwise: float = 0.0) -> float:
        figure = cast("Figure | None", getattr(tier, name))
        return otherwise if figure is None else here.take(name, figure)

    figures = {name: here.take(name, figure) for name, figure in link_figures(tier).items()}
    return Tier(
        name=tier.name,
        domain=tier.domain,
        bandwidth=_link(profile, place, resolution, inside),
        shared=tier.shared,
        oversubscription=stated("oversubscription", 1.0),
        static_share=stated("static_share", 1.0),
        behind=tier.behind,
        latency=here.take("latency", tier.latency),
        topology=tier.topology,
        dimensions=tier.dimensions,
        algorithms=tier.algorithms,
        efficiency=here.take("efficiency", tier.efficiency),
        hop=here.take("hop", tier.hop),
        launch=here.take("launch", tier.launch),
        low_latency=stated("low_latency"),
        eager_launch=0.0 if tier.eager_launch is None else tier.eager_launch.value,
        reduction=stated("reduction"),
        through_host=tier.through_host,
        **{name: figures.get(name, 0.0) for name in LINK_FIGURES},
    )


def _link(profile: ClusterProfile, place: int, resolution: Resolution, inside: Sequence[Tier]) -> float:
    """Bandwidth of the tier's links: its own, that of the tier it is behind, or the chip's of its name."""
    tier = profile.tiers[place]
    if tier.bandwidth is not None:
        return resolution.within(f"tiers.{place}").take("bandwidth", tier.bandwidth)
    if tier.behind:
        return next(inner.bandwidth for inner in inside if inner.name == tier.behind)
    link = link_of(profile.chip, tier.name)
    return 0.0 if link is None else resolution.within("chip.links").take(tier.name, link)


def resolve_chip(profile: ChipProfile, resolution: Resolution) -> Chip:
    """The chip as floats; what the profile leaves out is assumed and remembered like the rest."""
    part = _Part(profile, resolution)
    return Chip(
        name=profile.name,
        title=profile.title or profile.name,
        vendor=profile.vendor,
        compute=_compute(part),
        sram=_sram(part),
        noc_bandwidth=part.or_zero("noc.bandwidth", profile.noc.bandwidth if profile.noc else None),
        memory=_memory(part),
        dispatch=_dispatch(part),
        dma_engines=part.count("dma.engines", profile.dma.engines if profile.dma else None),
        power=_power(part),
        kernels=resolve_kernels(profile.family, profile.kernels, resolution.within("kernels")),
        rental=part.or_zero("price.rental", profile.price.rental),
        capex=part.or_zero("price.capex", profile.price.capex),
        time_factors=time_factors(profile.name, profile.family, resolution),
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """Takes the figures of one chip: the stated one, or the assumption at its path."""

    profile: ChipProfile
    resolution: Resolution

    def take(self, path: str, figure: Figure | None) -> float:
        return self.resolution.take(path, assumed(self.profile, path) if figure is None else figure)

    def count(self, path: str, figure: Figure | None) -> int:
        return round(self.take(path, figure))

    def or_zero(self, path: str, figure: Figure | None) -> float:
        return 0.0 if figure is None else self.resolution.take(path, figure)


def _compute(part: _Part) -> Compute:
    compute = part.profile.compute
    rows, columns, depth = compute.matrix_shape or (None, None, None)
    return Compute(
        cores=part.count("compute.cores", compute.cores),
        clock=part.take("compute.clock", compute.clock),
        peak={dtype: part.take(f"compute.peak.{dtype}", peak) for dtype, peak in compute.peak.items()},
        matrix_shape=(
            part.count("compute.matrix_shape.0", rows),
            part.count("compute.matrix_shape.1", columns),
            part.count("compute.matrix_shape.2", depth),
        ),
        vector_flops=part.take("compute.vector_flops", compute.vector_flops),
        exp_rate=part.take("compute.exp_rate", compute.exp_rate),
    )


def _sram(part: _Part) -> Sram:
    sram = part.profile.sram
    return Sram(
        per_core=part.take("sram.per_core", sram.per_core),
        shared=part.or_zero("sram.shared", sram.shared),
        bandwidth=part.take("sram.bandwidth", sram.bandwidth),
        multicast=part.take("sram.multicast", sram.multicast),
    )


def _memory(part: _Part) -> Memory:
    memory = part.profile.memory
    stacks = part.count("memory.stacks", memory.stacks)
    bandwidth = part.take("memory.bandwidth", memory.bandwidth)
    capacity = part.take("memory.capacity", memory.capacity)
    visible = part.take("memory.visible", memory.visible)
    if memory.visible is None:  # a share of the capacity, whatever was drawn for that
        visible *= capacity / memory.capacity.value
    return Memory(
        device=memory.device,
        stacks=stacks,
        bandwidth=bandwidth,
        capacity=capacity,
        visible=min(visible, capacity),
        outstanding=part.take("memory.outstanding", memory.outstanding),
        interleave=part.take("memory.interleave", memory.interleave),
        row_piece=part.take("memory.row_piece", memory.row_piece),
        queue=part.take("memory.queue", memory.queue),
        refresh=memory.refresh,
        ceiling=part.or_zero("memory.ceiling", memory.ceiling),
        ceiling_applies=memory.ceiling_applies,
        device_profile=_own_device(memory, part.resolution),
    )


def _own_device(memory: MemoryProfile, resolution: Resolution) -> dict[str, object] | None:
    if memory.device_profile is None:
        return None
    return plain_device(memory.device_profile, resolution.within("memory.device_profile"))


def _dispatch(part: _Part) -> Dispatch:
    dispatch = part.profile.dispatch
    return Dispatch(
        gap=part.take("dispatch.gap", dispatch.gap),
        queue=part.count("dispatch.queue", dispatch.queue),
    )


def _power(part: _Part) -> Power:
    power = part.profile.power
    return Power(
        idle=part.take("power.idle", power.idle),
        tdp=part.take("power.tdp", power.tdp),
        active=part.take("power.active", power.active),
        pj_flop=part.take("power.pj_flop", power.pj_flop),
        pj_byte=part.take("power.pj_byte", power.pj_byte),
        clock_exponent=part.take("power.clock_exponent", power.clock_exponent),
    )

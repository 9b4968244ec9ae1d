"""From profiles to plain numbers: every Figure becomes one SI float, its value or its draw.

Each figure is remembered in the resolution, so that a result lists what it rests on.
"""

from sim.figures import Figure, Resolution
from sim.hardware.assumed import assumed
from sim.hardware.chip import Chip, Compute, Dispatch, Memory, Power, Sram
from sim.hardware.cluster import Cluster, Tier
from sim.hardware.kernels import resolve_kernels
from sim.hardware.schema import ChipProfile, ClusterProfile, TierProfile, link_of


def resolve_cluster(profile: ClusterProfile, resolution: Resolution) -> Cluster:
    """The cluster and its chip as floats; paths are relative to the resolution's prefix."""
    chip = resolve_chip(profile.chip, resolution.within("chip"))
    tiers = [
        _tier(profile.chip, tier, resolution.within(f"tiers.{i}"), resolution.within("chip.links"))
        for i, tier in enumerate(profile.tiers)
    ]
    return Cluster(
        name=profile.name,
        title=profile.title or profile.name,
        chip=chip,
        chips=profile.chips,
        tiers=tuple(tiers),
        host_bandwidth=resolution.take("chip.links.host", profile.chip.links.host),
        overhead_power=resolution.take("overhead_power", profile.overhead_power),
    )


def _tier(chip: ChipProfile, tier: TierProfile, resolution: Resolution, links: Resolution) -> Tier:
    def or_zero(path: str, figure: Figure | None) -> float:
        return 0.0 if figure is None else resolution.take(path, figure)

    link = link_of(chip, tier.name)
    if tier.bandwidth is None and link is not None:
        bandwidth = links.take(tier.name, link)
    else:
        bandwidth = or_zero("bandwidth", tier.bandwidth)
    return Tier(
        name=tier.name,
        domain=tier.domain,
        bandwidth=bandwidth,
        latency=resolution.take("latency", tier.latency),
        topology=tier.topology,
        efficiency=resolution.take("efficiency", tier.efficiency),
        hop=resolution.take("hop", tier.hop),
        launch=resolution.take("launch", tier.launch),
        low_latency=or_zero("low_latency", tier.low_latency),
        reduction=or_zero("reduction", tier.reduction),
        through_host=tier.through_host,
    )


def resolve_chip(profile: ChipProfile, resolution: Resolution) -> Chip:
    """The chip as floats; what the profile leaves out is assumed and remembered like the rest."""

    def take(path: str, figure: Figure | None) -> float:
        return resolution.take(path, assumed(profile, path) if figure is None else figure)

    def count(path: str, figure: Figure | None) -> int:
        return round(take(path, figure))

    def or_zero(path: str, figure: Figure | None) -> float:
        return 0.0 if figure is None else resolution.take(path, figure)

    compute, memory = profile.compute, profile.memory
    capacity = take("memory.capacity", memory.capacity)
    visible = take("memory.visible", memory.visible)
    if memory.visible is None:  # a share of the capacity, drawn or overridden as that may be
        visible *= capacity / memory.capacity.value
    shape = compute.matrix_shape or (None, None, None)
    return Chip(
        name=profile.name,
        title=profile.title or profile.name,
        vendor=profile.vendor,
        compute=Compute(
            cores=count("compute.cores", compute.cores),
            clock=take("compute.clock", compute.clock),
            peak={dtype: take(f"compute.peak.{dtype}", peak) for dtype, peak in compute.peak.items()},
            matrix_shape=(
                count("compute.matrix_shape.0", shape[0]),
                count("compute.matrix_shape.1", shape[1]),
                count("compute.matrix_shape.2", shape[2]),
            ),
            vector_flops=take("compute.vector_flops", compute.vector_flops),
            exp_rate=take("compute.exp_rate", compute.exp_rate),
        ),
        sram=Sram(
            per_core=take("sram.per_core", profile.sram.per_core),
            shared=or_zero("sram.shared", profile.sram.shared),
            bandwidth=take("sram.bandwidth", profile.sram.bandwidth),
        ),
        noc_bandwidth=or_zero("noc.bandwidth", profile.noc.bandwidth if profile.noc else None),
        memory=Memory(
            device=memory.device,
            stacks=count("memory.stacks", memory.stacks),
            bandwidth=take("memory.bandwidth", memory.bandwidth),
            capacity=capacity,
            visible=min(visible, capacity),
            outstanding=take("memory.outstanding", memory.outstanding),
            refresh=memory.refresh,
        ),
        dispatch=Dispatch(
            gap=take("dispatch.gap", profile.dispatch.gap),
            queue=count("dispatch.queue", profile.dispatch.queue),
        ),
        dma_engines=count("dma.engines", profile.dma.engines if profile.dma else None),
        power=Power(
            idle=take("power.idle", profile.power.idle),
            tdp=take("power.tdp", profile.power.tdp),
            pj_flop=take("power.pj_flop", profile.power.pj_flop),
            pj_byte=take("power.pj_byte", profile.power.pj_byte),
        ),
        kernels=resolve_kernels(profile.family, profile.kernels, resolution.within("kernels")),
        rental=or_zero("price.rental", profile.price.rental),
        capex=or_zero("price.capex", profile.price.capex),
    )

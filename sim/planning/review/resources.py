"""What a next chip can have more of, one resource at a time, and what more of it costs.

A resource at strength s has s times what the machine has now, of a time (latency, launch) a part 1/s. Its
values are set as absolute figures by `--set`s, so that any variant can be run again with `bandwall run`.

    relative cost of a chip = 1 + Σ_r weight_r · (s_r − 1)

Nobody publishes what a design saves or costs; the weights are assumptions, shown with every result that
rests on them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields

from sim.figures import Figure
from sim.hardware import ClusterProfile
from sim.hardware.chip import KernelFamily
from sim.hardware.cluster import Cluster
from sim.planning.review.machine import Machine
from sim.units import BANDWIDTH, BYTES, ENERGY_PER_FLOP, FLOP_RATE, NUMBER, OP_RATE, TIME, Dimension, show

Paths = Mapping[str, tuple[float, Dimension]]
"""Path in the tree → (value, dimension)."""


@dataclass(frozen=True, slots=True)
class Resource:
    """Attributes:
    causes: what time that it takes is called in a phase, and in a served run.
    weight: part of a chip's price that once more of it costs.
    time: the less of it the better.
    value: the figure that stands for it; paths: all figures that change with it.
    held: figures that a profile may derive from it and that stay what they are.
    """

    name: str
    title: str
    causes: frozenset[str]
    weight: Figure
    time: bool
    dimension: Dimension
    value: Callable[[Machine], float]
    paths: Callable[[Machine], Paths]
    held: Callable[[Machine], Paths] = lambda _machine: {}

    def at(self, machine: Machine, strength: float) -> float:
        """Its figure at a strength."""
        return _scaled(self.value(machine), strength, self.time)

    def text(self, machine: Machine, strength: float = 1.0) -> str:
        """Its figure at a strength, in words."""
        return show(self.at(machine, strength), self.dimension)

    def sets(self, machine: Machine, strength: float) -> list[str]:
        """The `--set`s that give a machine this strength; none at 1."""
        if strength == 1.0:
            return []
        changed = {
            path: (_scaled(value, strength, self.time), dimension)
            for path, (value, dimension) in self.paths(machine).items()
        }
        return [
            f"{path}={value!r} {dimension.base}"
            for path, (value, dimension) in {**self.held(machine), **changed}.items()
        ]


def _scaled(value: float, strength: float, time: bool) -> float:
    return value / strength if time else value * strength


def relative_cost(strengths: Mapping[str, float]) -> float:
    """Cost of a chip with resources at these strengths, in prices of the present one."""
    return 1.0 + sum(BY_NAME[name].weight.value * (s - 1.0) for name, s in strengths.items())


def all_sets(machine: Machine, strengths: Mapping[str, float]) -> list[str]:
    """The `--set`s that give a machine these strengths; what one holds the next may change."""
    chosen = [resource for resource in RESOURCES if resource.name in strengths]
    return [text for resource in chosen for text in resource.sets(machine, strengths[resource.name])]


def fabric(machine: Machine) -> frozenset[str]:
    """What time on the links is called: by level in a phase, in a served run as one."""
    return frozenset({"link", *(tier.name for tier in machine.deployment.cluster.tiers)})


def _weight(value: float, why: str) -> Figure:
    return Figure(value, NUMBER, value / 2, value * 2, "assumption", why)


def _cluster(machine: Machine) -> Cluster:
    return machine.deployment.cluster


def _profile(machine: Machine) -> ClusterProfile:
    return machine.scenario.spec.cluster


def _hbm_bandwidth(machine: Machine) -> Paths:
    memory = _cluster(machine).chip.memory
    found = {"bandwidth": memory.bandwidth, "outstanding": memory.outstanding}
    if memory.ceiling_applies:
        found["ceiling"] = memory.ceiling
    dimensions = {"outstanding": BYTES}
    return {
        f"cluster.chip.memory.{name}": (value, dimensions.get(name, BANDWIDTH))
        for name, value in found.items()
    }


def _hbm_capacity(machine: Machine) -> Paths:
    """Physical capacity, and what the driver reports of it."""
    memory = _cluster(machine).chip.memory
    return {
        "cluster.chip.memory.capacity": (memory.capacity, BYTES),
        "cluster.chip.memory.visible": (memory.visible, BYTES),
    }


def _link_bandwidth(machine: Machine) -> Paths:
    """Every level's links, and what switches reduce."""
    found: dict[str, tuple[float, Dimension]] = {}
    for place, (tier, written) in enumerate(
        zip(_cluster(machine).tiers, _profile(machine).tiers, strict=True)
    ):
        if written.bandwidth is not None:
            found[f"cluster.tiers.{place}.bandwidth"] = tier.bandwidth, BANDWIDTH
        elif not tier.behind and tier.bandwidth:
            found[f"cluster.chip.links.{tier.name}"] = tier.bandwidth, BANDWIDTH
        if tier.reduction:
            found[f"cluster.tiers.{place}.reduction"] = tier.reduction, BANDWIDTH
    return found


def _link_latency(machine: Machine) -> Paths:
    """A message's latency, a further step's, and the fixed time of a collective, at every level."""
    return {
        f"cluster.tiers.{place}.{name}": (value, TIME)
        for place, tier in enumerate(_cluster(machine).tiers)
        for name in ("latency", "hop", "launch", "low_latency")
        if (value := float(getattr(tier, name)))
    }


def _flops(machine: Machine) -> Paths:
    peaks = _cluster(machine).chip.compute.peak
    return {f"cluster.chip.compute.peak.{dtype}": (peak, FLOP_RATE) for dtype, peak in peaks.items()}


def _beside_flops(machine: Machine) -> Paths:
    """What a profile of few lines derives from its peaks."""
    chip = _cluster(machine).chip
    own = {
        "cluster.chip.sram.bandwidth": (chip.sram.bandwidth, BANDWIDTH),
        "cluster.chip.power.pj_flop": (chip.power.pj_flop, ENERGY_PER_FLOP),
    }
    return {**_vector(machine), **own}


def _vector(machine: Machine) -> Paths:
    compute = _cluster(machine).chip.compute
    return {
        "cluster.chip.compute.vector_flops": (compute.vector_flops, FLOP_RATE),
        "cluster.chip.compute.exp_rate": (compute.exp_rate, OP_RATE),
    }


def _sram(machine: Machine) -> Paths:
    sram = _cluster(machine).chip.sram
    found = {"cluster.chip.sram.per_core": (sram.per_core, BYTES)}
    if sram.shared:
        found["cluster.chip.sram.shared"] = sram.shared, BYTES
    return found | {"cluster.chip.sram.bandwidth": (sram.bandwidth, BANDWIDTH)}


def _launch(machine: Machine) -> Paths:
    """The command processor's gap and the fixed times of the family's kernels."""
    chip = _cluster(machine).chip
    names = [field.name for field in fields(KernelFamily) if field.name.endswith("_launch")]
    times = {f"cluster.chip.kernels.{name}": (float(getattr(chip.kernels, name)), TIME) for name in names}
    return {"cluster.chip.dispatch.gap": (chip.dispatch.gap, TIME)} | times


def _peak(machine: Machine) -> float:
    return _cluster(machine).chip.peak(machine.arithmetic)


def _sram_size(machine: Machine) -> float:
    chip = _cluster(machine).chip
    return chip.compute.cores * chip.sram.per_core + chip.sram.shared


CAPACITY = Resource(
    "hbm_capacity", "HBM capacity", frozenset(),
    _weight(0.15, "denser stacks at the same pins; HBM is a tenth to a quarter of what an accelerator costs"),
    False, BYTES, lambda m: _cluster(m).chip.memory.capacity, _hbm_capacity,
)  # fmt: skip
RESOURCES = (
    Resource(
        "hbm_bandwidth", "HBM bandwidth", frozenset({"hbm"}),
        _weight(0.20, "more stacks or faster pins; HBM is a tenth to a quarter of what an accelerator costs"),
        False, BANDWIDTH, lambda m: _cluster(m).chip.memory.bandwidth, _hbm_bandwidth,
    ),
    CAPACITY,
    Resource(
        "link_bandwidth", "link bandwidth", frozenset({"link"}),
        _weight(0.10, "SerDes, switches and cables; all levels of the fabric alike"),
        False, BANDWIDTH, lambda m: _cluster(m).tiers[0].bandwidth, _link_bandwidth,
    ),
    Resource(
        "link_latency", "link latency", frozenset({"link", "launch"}),
        _weight(0.03, "switch silicon and kernels that start without the host; message, hop and collective"),
        True, TIME, lambda m: _cluster(m).tiers[0].latency, _link_latency,
    ),
    Resource(
        "flops", "matrix FLOP/s", frozenset({"matrix", "compute"}),
        _weight(0.30, "most of the logic die"),
        False, FLOP_RATE, _peak, _flops, _beside_flops,
    ),
    Resource(
        "vector", "vector FLOP/s", frozenset({"vector", "compute"}),
        _weight(0.05, "a small part of the logic die; exponentials with it"),
        False, FLOP_RATE, lambda m: _cluster(m).chip.compute.vector_flops, _vector,
    ),
    Resource(
        "sram", "SRAM", frozenset(),
        _weight(0.10, "a third of the logic die at most; its bandwidth with it"),
        False, BYTES, _sram_size, _sram,
    ),
    Resource(
        "launch", "kernel launch", frozenset({"launch"}),
        _weight(0.02, "command processor and compiler, little silicon"),
        True, TIME, lambda m: m.deployment.cluster.chip.kernels.gemm_launch, _launch,
    ),
)  # fmt: skip
"""Kernel launch is given as that of a matrix product, SRAM as that of the whole chip."""
BY_NAME = {resource.name: resource for resource in RESOURCES}


def bound_named(machine: Machine, causes: Mapping[str, float]) -> str:
    """The largest cause; levels of the fabric count together, as `link`."""
    links = fabric(machine)
    merged: dict[str, float] = {}
    for cause, amount in causes.items():
        name = "link" if cause in links else cause
        merged[name] = merged.get(name, 0.0) + amount
    return max(merged, key=lambda name: merged[name]) if merged else ""

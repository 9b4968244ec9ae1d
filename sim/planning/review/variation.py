"""The chip changed one design parameter at a time, halved to doubled, and what becomes of its speeds.

cores         more of the same: matrix and vector peaks, exponentials and SRAM with its bandwidth grow along
array shape   every side of the matrix engine at the same peak, of chips where it is a rigid array
HBM stacks    bandwidth, capacity and what is under way grow along
everything else is one resource of `sim.planning.review.resources`, all else as it is
"""

from collections.abc import Callable
from dataclasses import dataclass

from sim.planning.review.machine import Machine, Speed, machine
from sim.planning.review.point import Point
from sim.planning.review.resources import BY_NAME, all_sets

FACTORS = (0.5, 0.75, 1.5, 2.0)


@dataclass(frozen=True, slots=True)
class Varied:
    """A design parameter times `factor` (of a time: divided by it)."""

    factor: float
    speed: Speed


@dataclass(frozen=True, slots=True)
class Design:
    """A design parameter: how it is called, what it is now, its `--set`s at a factor, and whether a chip has
    it."""

    name: str
    now: Callable[[Machine], str]
    sets: Callable[[Machine, float], list[str]]
    applies: Callable[[Machine], bool] = lambda _reviewed: True


@dataclass(frozen=True, slots=True)
class Variation:
    """What becomes of one parameter's change."""

    name: str
    now: str
    varied: tuple[Varied, ...]


def variations(reviewed: Machine, point: Point) -> tuple[Variation, ...]:
    """Every design parameter that the chip has."""
    return tuple(
        Variation(
            design.name,
            design.now(reviewed),
            tuple(
                Varied(f, machine(reviewed.scenario.changed(design.sets(reviewed, f))).speed(point))
                for f in FACTORS
            ),
        )
        for design in DESIGNS
        if design.applies(reviewed)
    )


def _cores(reviewed: Machine, factor: float) -> list[str]:
    chip = reviewed.deployment.cluster.chip
    grown = all_sets(reviewed, {"flops": factor, "vector": factor})
    return [
        *grown,
        f"cluster.chip.compute.cores={round(factor * chip.compute.cores)}",
        f"cluster.chip.sram.bandwidth={factor * chip.sram.bandwidth!r} B/s",
    ]


def _array(reviewed: Machine, factor: float) -> list[str]:
    shape = reviewed.deployment.cluster.chip.compute.matrix_shape
    return [f"cluster.chip.compute.matrix_shape={[max(1, round(factor * side)) for side in shape]}"]


def _has_array(reviewed: Machine) -> bool:
    return reviewed.deployment.cluster.chip.kernels.array is not None


def _array_text(reviewed: Machine) -> str:
    return " × ".join(map(str, reviewed.deployment.cluster.chip.compute.matrix_shape))


def _stacks(reviewed: Machine, factor: float) -> list[str]:
    """Speeds follow bandwidth and capacity; the number itself is whole, so that it may be a little off."""
    stacks = max(1, round(factor * reviewed.deployment.cluster.chip.memory.stacks))
    grown = all_sets(reviewed, {"hbm_bandwidth": factor, "hbm_capacity": factor})
    return [*grown, f"cluster.chip.memory.stacks={stacks}"]


def _resource(name: str) -> Design:
    resource = BY_NAME[name]
    return Design(resource.title, resource.text, lambda reviewed, factor: all_sets(reviewed, {name: factor}))


DESIGNS = (
    Design("cores", lambda m: str(m.deployment.cluster.chip.compute.cores), _cores),
    Design("array shape", _array_text, _array, _has_array),
    Design("HBM stacks", lambda m: str(m.deployment.cluster.chip.memory.stacks), _stacks),
    *(_resource(name) for name in BY_NAME if name != "hbm_capacity"),
)

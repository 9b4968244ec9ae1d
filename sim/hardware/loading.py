"""From a name to a resolved chip or cluster and the assumptions it rests on, in one call."""

from pathlib import Path

from sim.figures import Assumption, Resolution
from sim.hardware.catalogue import read_chip, read_cluster, read_family
from sim.hardware.chip import Chip, KernelFamily
from sim.hardware.cluster import Cluster
from sim.hardware.kernels import Kernels, resolve_kernels
from sim.hardware.resolve import resolve_chip, resolve_cluster
from sim.hardware.schema import ChipProfile, ClusterProfile


def load_chip(
    name_or_path: str, base: Path | None = None, resolution: Resolution | None = None
) -> tuple[Chip, list[Assumption]]:
    """A chip with every figure at its value, or at the resolution's draw, and the figures.

    Raises:
        UserError: for an unknown name or a faulty profile.
    """
    resolution = Resolution() if resolution is None else resolution
    chip = resolve_chip(ChipProfile.model_validate(read_chip(name_or_path, base)), resolution)
    return chip, resolution.assumptions


def load_cluster(name_or_path: str, base: Path | None = None) -> tuple[Cluster, list[Assumption]]:
    """A cluster with every figure at its value, and the figures.

    Raises:
        UserError: for an unknown name or a faulty profile.
    """
    resolution = Resolution()
    cluster = resolve_cluster(ClusterProfile.model_validate(read_cluster(name_or_path, base)), resolution)
    return cluster, resolution.assumptions


def load_family(name: str, resolution: Resolution | None = None) -> tuple[KernelFamily, list[Assumption]]:
    """A shipped family's kernel parameters with every figure at its value, or at the draw, and the figures.

    Raises:
        UserError: for an unknown name.
    """
    resolution = (Resolution() if resolution is None else resolution).within("kernels")
    kernels = resolve_kernels(name, Kernels.model_validate(read_family(name)), resolution)
    return kernels, resolution.assumptions

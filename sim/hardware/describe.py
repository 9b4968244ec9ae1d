"""A profile as plain rows, for whoever prints it: what is known of each figure, and what looks wrong."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from sim.documents import load
from sim.errors import unknown
from sim.figures import Assumption, Resolution
from sim.hardware.catalogue import chip_names, cluster_names, is_path, read_chip, read_cluster
from sim.hardware.checks import remarks
from sim.hardware.resolve import resolve_chip, resolve_cluster
from sim.hardware.schema import ChipProfile, ClusterProfile


@dataclass(frozen=True, slots=True)
class Description:
    """One profile, figure by figure.

    Attributes:
        kind: what the profile describes; `name`, `title`, `note`: as the profile has them.
        figures: every figure with its path, text (value and range), basis and source.
        remarks: sentences about what looks like a slip; empty for a plausible profile.
    """

    kind: Literal["chip", "cluster"]
    name: str
    title: str
    note: str
    figures: tuple[Assumption, ...]
    remarks: tuple[str, ...]

    @property
    def assumed(self) -> int:
        """Figures that nobody has published or measured: basis assumption or unstated."""
        return sum(figure.basis in ("assumption", "unstated") for figure in self.figures)


def describe(name_or_path: str, base: Path | None = None) -> Description:
    """A shipped chip or cluster by its name, or a profile of the user's own by its path.

    A file with `tiers` is a cluster, any other a chip.

    Raises:
        UserError: for an unknown name, with the nearest one, or for a faulty profile.
    """
    if is_path(name_or_path):
        tree = load((base or Path()) / name_or_path).tree
        is_cluster = isinstance(tree, Mapping) and "tiers" in cast("Mapping[str, object]", tree)
        return describe_cluster(name_or_path, base) if is_cluster else describe_chip(name_or_path, base)
    if name_or_path in chip_names():
        return describe_chip(name_or_path)
    if name_or_path in cluster_names():
        return describe_cluster(name_or_path)
    raise unknown("chip or cluster", name_or_path, [*chip_names(), *cluster_names()])


def describe_chip(name_or_path: str, base: Path | None = None) -> Description:
    """A chip, figure by figure.

    Raises:
        UserError: for an unknown name or a faulty profile.
    """
    profile, resolution = ChipProfile.model_validate(read_chip(name_or_path, base)), Resolution()
    resolve_chip(profile, resolution)
    return _description("chip", profile, resolution, profile)


def describe_cluster(name_or_path: str, base: Path | None = None) -> Description:
    """A cluster and its chip, figure by figure.

    Raises:
        UserError: for an unknown name or a faulty profile.
    """
    profile, resolution = ClusterProfile.model_validate(read_cluster(name_or_path, base)), Resolution()
    resolve_cluster(profile, resolution)
    return _description("cluster", profile, resolution, profile.chip)


def _description(
    kind: Literal["chip", "cluster"],
    profile: ChipProfile | ClusterProfile,
    resolution: Resolution,
    chip: ChipProfile,
) -> Description:
    return Description(
        kind=kind,
        name=profile.name,
        title=profile.title or profile.name,
        note=profile.note,
        figures=tuple(resolution.assumptions),
        remarks=tuple(remarks(chip)),
    )

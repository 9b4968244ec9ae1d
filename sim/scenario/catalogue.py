"""What the catalogues hold, as the verbs `hardware` and `models` show it, and a user's own file alike."""

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from sim import documents
from sim.dram import dram_efficiency
from sim.errors import unknown
from sim.figures import Assumption, Resolution
from sim.hardware import (
    ChipProfile,
    ClusterProfile,
    chip_names,
    cluster_names,
    read_chip,
    read_cluster,
    resolve_chip,
    resolve_cluster,
)
from sim.hardware.checks import remarks
from sim.hardware.chip import Chip
from sim.hardware.cluster import Cluster
from sim.models import load_model, model_names
from sim.models.describe import ModelDescription
from sim.models.describe import describe_model as describe_architecture
from sim.operators import WEIGHTS, Access
from sim.units import BANDWIDTH, show
from sim.version import __version__

_BLOCK = 4096.0


@dataclass(frozen=True, slots=True)
class HardwareProfile:
    """A chip, or a cluster of it, read and resolved.

    Attributes:
        assumptions: every figure it rests on.
        remarks: sentences about what looks like a slip in the chip; empty for a plausible one.
    """

    chip: Chip
    cluster: Cluster | None
    assumptions: tuple[Assumption, ...]
    remarks: tuple[str, ...]

    @property
    def kind(self) -> str:
        """'chip' or 'cluster'."""
        return "chip" if self.cluster is None else "cluster"

    @property
    def title(self) -> str:
        """The name a reader knows it by."""
        return self.chip.title if self.cluster is None else self.cluster.title

    @property
    def assumed(self) -> int:
        """Figures that nobody vouches for: basis `assumption` or none stated."""
        counts = Counter(a.basis for a in self.assumptions)
        return counts["assumption"] + counts["unstated"]

    @property
    def memory_text(self) -> str:
        """What the DRAM model gives streams and blocks of the chip's memory, and what the vendor states; ""
        for a device of the user's own, whose table takes seconds to derive."""
        memory = self.chip.memory
        if memory.device_profile is not None:
            return ""
        of = dram_efficiency(memory)
        stream, blocks = (
            show(memory.bandwidth * of.of(access).fraction, BANDWIDTH)
            for access in (WEIGHTS, Access("gather", "blocks", _BLOCK))
        )
        stated = f"; the vendor states {show(memory.ceiling, BANDWIDTH)}" if memory.ceiling else ""
        return (
            f"Of {show(memory.bandwidth, BANDWIDTH)} DRAM gives a stream {stream} and gathered blocks of "
            f"4 KiB {blocks}{stated}"
        )

    def to_json(self) -> dict[str, object]:
        """Plain data: resolved SI numbers, the figures behind them, the version that read them."""
        resolved = self.chip if self.cluster is None else self.cluster
        return {
            "schema": 1,
            "version": __version__,
            "kind": self.kind,
            "name": resolved.name,
            "title": resolved.title,
            "resolved": asdict(resolved),
            "figures": [asdict(a) for a in self.assumptions],
            "remarks": list(self.remarks),
        }


def describe_hardware(name: str, base: Path | None = None) -> HardwareProfile:
    """The chip or cluster of that name, or of the file at that path.

    Args:
        base: folder that a relative path starts from, the working directory if None.
    Raises:
        UserError: for an unknown name, or a file that is no valid profile.
    """
    resolution = Resolution()
    if _names_a_cluster(name, base):
        profile = ClusterProfile.model_validate(read_cluster(name, base))
        cluster = resolve_cluster(profile, resolution)
        return _profile(profile.chip, cluster.chip, cluster, resolution)
    written = ChipProfile.model_validate(read_chip(name, base))
    return _profile(written, resolve_chip(written, resolution), None, resolution)


def _profile(
    written: ChipProfile, chip: Chip, cluster: Cluster | None, resolution: Resolution
) -> HardwareProfile:
    return HardwareProfile(chip, cluster, tuple(resolution.assumptions), tuple(remarks(written)))


def list_hardware() -> list[HardwareProfile]:
    """Every chip, then every cluster, of the catalogue."""
    return [describe_hardware(name) for name in (*chip_names(), *cluster_names())]


def _names_a_cluster(name: str, base: Path | None) -> bool:
    if "/" in name or name.endswith((".yaml", ".yml", ".json")):
        tree = documents.load((base or Path()) / name).tree
        return isinstance(tree, dict) and ("chip" in tree or "tiers" in tree)
    if name not in chip_names() and name not in cluster_names():
        raise unknown("chip or cluster", name, [*chip_names(), *cluster_names()])
    return name in cluster_names()


def describe_model(name: str, base: Path | None = None) -> ModelDescription:
    """Counts of the model of that name, hub id, or file: ours or a Hugging Face config.json.

    Raises:
        UserError: for an unknown name, or a file that is not understood.
    """
    return describe_architecture(load_model(name, base))


def list_models() -> list[ModelDescription]:
    """Every model of the catalogue."""
    return [describe_model(name) for name in model_names()]

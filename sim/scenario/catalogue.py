"""What the catalogues hold, as the verbs `hardware` and `models` show it, and a user's own file alike."""

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from sim import documents
from sim.errors import unknown
from sim.figures import Assumption
from sim.hardware import chip_names, cluster_names, load_chip, load_cluster
from sim.hardware.chip import Chip
from sim.hardware.cluster import Cluster
from sim.models import ModelDescription, describe_model, load_model, model_names


@dataclass(frozen=True, slots=True)
class HardwareProfile:
    """A chip or cluster read and resolved, with every figure it rests on."""

    resolved: Chip | Cluster
    assumptions: tuple[Assumption, ...]

    @property
    def kind(self) -> str:
        """'chip' or 'cluster'."""
        return "chip" if isinstance(self.resolved, Chip) else "cluster"

    @property
    def assumed(self) -> int:
        """Figures that nobody vouches for: basis `assumption` or none stated."""
        counts = Counter(a.basis for a in self.assumptions)
        return counts["assumption"] + counts["unstated"]

    def to_json(self) -> dict[str, object]:
        """Plain data: resolved SI numbers, and the figures behind them."""
        return {
            "kind": self.kind,
            "name": self.resolved.name,
            "title": self.resolved.title,
            "resolved": asdict(self.resolved),
            "figures": [asdict(a) for a in self.assumptions],
        }


def describe_hardware(name: str, base: Path | None = None) -> HardwareProfile:
    """The chip or cluster of that name, or of the file at that path.

    Raises:
        UserError: for an unknown name, or a file that is no valid profile.
    """
    if _is_path(name):
        tree = documents.load((base or Path()) / name).tree
        is_cluster = isinstance(tree, dict) and "chip" in tree
        loaded = load_cluster(name, base) if is_cluster else load_chip(name, base)
    elif name in chip_names():
        loaded = load_chip(name)
    elif name in cluster_names():
        loaded = load_cluster(name)
    else:
        raise unknown("chip or cluster", name, [*chip_names(), *cluster_names()])
    resolved, assumptions = loaded
    return HardwareProfile(resolved, tuple(assumptions))


def list_hardware() -> list[HardwareProfile]:
    """Every chip, then every cluster, of the catalogue."""
    return [describe_hardware(name) for name in (*chip_names(), *cluster_names())]


def describe_model(name: str, base: Path | None = None) -> ModelDescription:
    """Counts of the model of that name, or of the file at that path (ours or a Hugging Face config.json)."""
    return describe_model(load_model(name, base))


def list_models() -> list[ModelDescription]:
    """Every model of the catalogue."""
    return [describe_model(name) for name in model_names()]


def _is_path(name: str) -> bool:
    return "/" in name or name.endswith((".yaml", ".yml", ".json"))

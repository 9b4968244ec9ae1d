"""Finding and reading profiles: a name in hardware_profiles, or a path of the user's own.

What is read is made self-contained: a cluster's tree holds its chip, a chip's tree the kernel
parameters of its family, a tier the figures of its fabric, and every assumption is written out, so
that the resolved tree of a scenario needs no other file.
"""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Literal, cast

from sim.documents import Document, load, overlaid, validate
from sim.documents.reading import decode
from sim.errors import UserError, unknown
from sim.figures import dump_figure
from sim.hardware.assumed import RULES, assumed, link_figures
from sim.hardware.checks import refuse_contradictions
from sim.hardware.kernels import Kernels
from sim.hardware.memory_devices import PINS
from sim.hardware.memory_profile import MemoryDeviceProfile, refuse_impossible
from sim.hardware.schema import ChipProfile, ClusterProfile, TierProfile

Kind = Literal["chip", "cluster", "family", "fabric"]
Tree = dict[str, object]
_FOLDERS: dict[Kind, str] = {
    "chip": "chips",
    "cluster": "clusters",
    "family": "families",
    "fabric": "fabrics",
}
_SUFFIXES = (".yaml", ".yml", ".json")
_KERNELS = frozenset(name for name, field in Kernels.model_fields.items() if field.is_required())
_TIER = frozenset(name for name, field in TierProfile.model_fields.items() if field.is_required())
_LONGEST_CHAIN = 8
_FOLLOWS_CAPACITY = "memory.visible"


def chip_names() -> list[str]:
    """Names of the shipped chips, sorted."""
    return names("chip")


def cluster_names() -> list[str]:
    """Names of the shipped clusters, sorted."""
    return names("cluster")


def is_path(name: str) -> bool:
    """A name with '/' or a profile's ending is a path, any other the name of a shipped profile."""
    return "/" in name or name.endswith(_SUFFIXES)


def names(kind: Kind) -> list[str]:
    """Names of the shipped profiles of a kind, sorted."""
    found = (entry.name for entry in (files("hardware_profiles") / _FOLDERS[kind]).iterdir())
    return sorted(name.removesuffix(".yaml") for name in found if name.endswith(".yaml"))


def read_chip(name_or_path: str, base: Path | None = None) -> Tree:
    """The complete tree of a chip, a valid `ChipProfile`.

    Args:
        name_or_path: a shipped chip, or a path (with '/' or .yaml/.json) relative to `base`.
    Raises:
        UserError: naming file, line and field of what is wrong.
    """
    document, folder = _find("chip", name_or_path, base)
    return complete_chip(_mapping(document.tree, document), document, folder)


def read_family(name: str) -> Tree:
    """The kernel parameters of a shipped family, a valid `Kernels`.

    Raises:
        UserError: for an unknown name, with the nearest one.
    """
    return _part("family", name, None, "kernels")


def complete_chip(
    tree: Tree, document: Document, folder: Path | None, prefix: tuple[str | int, ...] = ()
) -> Tree:
    """A chip's tree with its family's kernel parameters and all assumptions written out, checked."""
    tree = dict(tree)
    kernels = tree.get("kernels", {})
    if "family" in tree and isinstance(kernels, dict):
        stated = cast("Tree", kernels)
        if _KERNELS - set(stated):  # not read before
            family = _name("family", tree["family"], document, (*prefix, "family"))
            tree["kernels"] = overlaid(_part("family", family, folder, "kernels"), stated)
    if isinstance(memory := tree.get("memory"), dict):
        tree["memory"] = _with_device(cast("Tree", memory), document, folder, (*prefix, "memory", "device"))
    profile = validate(ChipProfile, tree, document=document, prefix=prefix)
    refuse_contradictions(profile, document, prefix)
    for path in RULES:
        if path != _FOLLOWS_CAPACITY:
            _write_out(tree, profile, path)
    if isinstance(memory := tree["memory"], Mapping):
        tree["memory"] = {k: v for k, v in cast("Tree", memory).items() if k != "pin_rate"}
    return tree


def _with_device(memory: Tree, document: Document, folder: Path | None, path: tuple[str | int, ...]) -> Tree:
    """The memory with the profile of a device of the user's own in it, where `device` is a path to one."""
    device = memory.get("device")
    if not isinstance(device, str) or "device_profile" in memory:
        return memory
    if is_path(device):
        own = load((folder or Path()) / device)
        profile = validate(MemoryDeviceProfile, own.tree, document=own)
        refuse_impossible(profile, own.name)
        return memory | {"device": profile.name, "device_profile": own.tree}
    if device not in PINS:
        raise UserError(f"{document.where(path)}: {unknown('memory device', device, PINS)}")
    return memory


def read_cluster(name_or_path: str, base: Path | None = None) -> Tree:
    """The complete tree of a cluster with its chip, a valid `ClusterProfile`.

    Args:
        name_or_path: a shipped cluster, or a path (with '/' or .yaml/.json) relative to `base`.
    Raises:
        UserError: naming file, line and field of what is wrong.
    """
    document, folder = _find("cluster", name_or_path, base)
    return complete_cluster(_mapping(document.tree, document), document, folder)


def complete_cluster(
    tree: Tree, document: Document, folder: Path | None, prefix: tuple[str | int, ...] = ()
) -> Tree:
    """A cluster's tree with its chip and the figures of its fabrics written out, checked."""
    tree = dict(tree)
    chip, here = tree.get("chip"), (*prefix, "chip")
    if isinstance(chip, dict):
        tree["chip"] = complete_chip(cast("Tree", chip), document, folder, here)
    elif chip is not None:
        tree["chip"] = read_chip(_name("chip", chip, document, here), folder)
    if isinstance(tiers := tree.get("tiers"), list):
        tree["tiers"] = [
            _tier(tier, document, folder, (*prefix, "tiers", i))
            for i, tier in enumerate(cast("list[object]", tiers))
        ]
    profile = validate(ClusterProfile, tree, document=document, prefix=prefix)
    tree["tiers"] = [
        _with_link_figures(tier, stated)
        for tier, stated in zip(profile.tiers, cast("list[Tree]", tree["tiers"]), strict=True)
    ]
    return tree


def _with_link_figures(tier: TierProfile, stated: Tree) -> Tree:
    left_out = {name: figure for name, figure in link_figures(tier).items() if stated.get(name) is None}
    return stated | {name: dump_figure(figure) for name, figure in left_out.items()}


def _tier(tier: object, document: Document, folder: Path | None, path: tuple[str | int, ...]) -> object:
    if not isinstance(tier, dict):
        return tier
    tree = cast("Tree", tier)
    if "fabric" not in tree or not _TIER - set(tree):
        return tree
    fabric = _name("fabric", tree["fabric"], document, (*path, "fabric"))
    return overlaid(_part("fabric", fabric, folder, "tier"), tree)


def _name(kind: Kind, name: object, document: Document, path: tuple[str | int, ...]) -> str:
    """The name itself, if a document may name it: a path, or a shipped profile.

    Raises:
        UserError: naming the document's file, line and field, and the nearest name.
    """
    if isinstance(name, str) and (is_path(name) or name in names(kind)):
        return name
    raise UserError(f"{document.where(path)}: {unknown(kind, str(name), names(kind))}")


def _part(kind: Kind, name: str, folder: Path | None, key: str, depth: int = 0) -> Tree:
    """The mapping under `key` of a family or fabric; one that is `like` another states what differs."""
    document, inside = _find(kind, name, folder)
    tree = _mapping(document.tree, document)
    part, like = tree.get(key), tree.get("like")
    if not isinstance(part, dict):
        raise UserError(f"{document.name}: '{key}' is missing; a {kind} file needs it")
    if not isinstance(like, str):
        return cast("Tree", part)
    if depth == _LONGEST_CHAIN:
        raise UserError(f"{document.name}: 'like: {like}' leads in a circle")
    return overlaid(_part(kind, like, inside, key, depth + 1), cast("Tree", part))


def _find(kind: Kind, name: str, base: Path | None) -> tuple[Document, Path | None]:
    """The document of a name or path, and the folder that paths inside it are relative to."""
    if is_path(name):
        path = (base or Path()) / name
        return load(path), path.parent
    shipped = names(kind)
    if name not in shipped:
        raise unknown(kind, name, shipped)
    file = f"{_FOLDERS[kind]}/{name}.yaml"
    content = (files("hardware_profiles") / file).read_bytes()
    return decode(content, f"hardware_profiles/{file}"), base


def _mapping(tree: object, document: Document) -> Tree:
    if not isinstance(tree, dict):
        raise UserError(
            f"{document.name}:{document.line(()) or 1}: a profile is a mapping of fields to values"
        )
    return cast("Tree", tree)


def _write_out(tree: Tree, profile: ChipProfile, path: str) -> None:
    """Puts the assumed figure at `path` into the tree unless the profile states one."""
    section, field, *index = path.split(".")
    here = dict(cast("Tree", tree.get(section) or {}))
    if index:
        stated = here.get(field)
        row = list(cast("list[object]", stated)) if stated is not None else []
        if len(row) > int(index[0]):
            return
        here[field] = [*row, dump_figure(assumed(profile, path))]
    elif here.get(field) is not None:
        return
    else:
        here[field] = dump_figure(assumed(profile, path))
    tree[section] = here

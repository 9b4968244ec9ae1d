"""Which cluster a measured row ran on: the catalogue's box of its chip, or several over a network."""

from functools import cache
from typing import cast

from sim.documents import Document
from sim.figures import Resolution
from sim.hardware import (
    ClusterProfile,
    cluster_names,
    complete_cluster,
    load_cluster,
    read_cluster,
    resolve_cluster,
)
from sim.hardware.cluster import Cluster

_BOXES = ("-hgx", "-nvl72", "-platform", "-server", "-8", "-1")
_FORM_FACTORS = ("_sxm", "_pcie", "_oam")
_NETWORK, _SPINE = "infiniband-ndr", "infiniband-ndr-spine"
_LEAF = 4
"""Servers that one leaf of the measured network joins at full rate."""


@cache
def box_of(chip: str) -> Cluster | None:
    """The catalogue's server or rack of a chip such as 'h100_sxm'; None if it has none."""
    name = chip.lower()
    for form in _FORM_FACTORS:
        name = name.removesuffix(form)
    name = name.replace("_", "-")
    known = set(cluster_names())
    found = next((name + box for box in _BOXES if name + box in known), None)
    return None if found is None else load_cluster(found)[0]


@cache
def nodes_of(chip: str, nodes: int) -> tuple[Cluster, int] | None:
    """A cluster of so many nodes of a chip, and the chips of one: four in a rack of superchips, else eight.

    Nodes within one domain are that domain; others are joined as the measured H100 were.
    """
    box = box_of(chip)
    if box is None:
        return None
    node = min(4 if box.chip.name.startswith("gb") else 8, box.chips)
    chips = node * nodes
    if chips <= box.chips:
        return box, node
    leaf = box.chips * min(nodes, _LEAF)
    tiers: list[object] = [{"name": "scale_out", "domain": leaf, "fabric": _NETWORK}]
    size = -(-chips // leaf) * leaf
    if size > leaf:
        tiers.append({"name": "spine", "domain": size, "fabric": _SPINE, "behind": "scale_out"})
    tree = read_cluster(box.name)
    tree |= {"chips": size, "tiers": [*cast("list[object]", tree["tiers"]), *tiers]}
    complete = complete_cluster(tree, Document(box.name, tree), None)
    return resolve_cluster(ClusterProfile.model_validate(complete), Resolution()), node

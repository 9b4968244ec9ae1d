"""The parallel layout of a case, and the cluster that it runs on, as scenario trees.

Sources count attention data parallelism differently; the chips tell them apart:

    chips = tp · pp · dp           dp ranks beside one another (also dp copies of a dense model)
    attention_dp, tp = n           n ranks of attention inside tp: tp 1, dp n, ep n here
"""

from collections.abc import Mapping

from sim.hardware import cluster_names, read_cluster
from sim.validation.serving.cases import MeasuredCase, as_number

Tree = dict[str, object]
_SMALLEST_BOX = 8


def stated_layout(case: MeasuredCase, *, mixture: bool) -> dict[str, int] | None:
    """tp, pp, dp, ep as the case states them, None where it states none.

    Args:
        mixture: whether the model has routed experts; a dense one has no ep.
    """
    return layout_in(
        case.parallelism, alone=as_number(case.parallelism.get("ep")) == case.devices, mixture=mixture
    )


def layout_in(stated: Mapping[str, object], *, alone: bool, mixture: bool) -> dict[str, int] | None:
    """The layout of a tree of sizes, None where it has none.

    Args:
        alone: whether ep, where no other size is stated, is the number of chips.
    """
    tp, pp, dp, ep = (_size(stated, name) for name in ("tp", "pp", "dp", "ep"))
    if tp is None and dp is None and ep is None:
        return None
    tp, pp, dp = tp or 1, pp or 1, dp or 1
    if alone and tp == dp == pp == 1 and ep is not None:
        dp = ep  # only the expert-parallel size is stated: attention is data parallel over the same chips
    if mixture and _attention_is_data_parallel(stated):
        tp, dp, ep = 1, tp * dp, tp * dp
    return {"tp": tp, "pp": pp, "dp": dp, "ep": min(ep or 1, tp * dp) if mixture else 1}


def _size(stated: Mapping[str, object], name: str) -> int | None:
    value = as_number(stated.get(name))
    return None if value is None or value < 1 else int(value)


def _attention_is_data_parallel(stated: Mapping[str, object]) -> bool:
    if stated.get("attention_dp") is not None:
        return bool(stated["attention_dp"])
    return "attention-dp on" in str(stated.get("note") or "").lower()


def cluster_of(chip: str, chips: int) -> Tree:
    """A cluster of at least so many chips: the smallest that ships, or boxes of it joined by the fabric that
    joins the largest one's; a chip that no cluster ships in stands alone or in a PCIe server."""
    shipped = [tree for name in cluster_names() if _chip_name(tree := read_cluster(name)) == chip]
    shipped.sort(key=lambda tree: (_chips(tree), len(_tiers(tree))))
    for tree in shipped:
        if _chips(tree) >= chips:
            return tree
    if not shipped:
        tiers: list[Tree] = [{"name": "scale_up", "domain": max(chips, 1), "fabric": "pcie5-gpu"}]
        return {"name": f"{chip}-x{chips}", "chip": chip, "chips": max(chips, 1), "tiers": tiers}
    largest = shipped[-1]
    tiers = list(_tiers(largest))
    size = _chips(largest) * -(-chips // _chips(largest))
    if len(tiers) > 1:
        tiers[-1] = tiers[-1] | {"domain": size}
    else:
        tiers.append({"name": "scale_out", "domain": size, "fabric": "infiniband-ndr"})
    return largest | {"name": f"{largest['name']}-{size}", "chips": size, "tiers": tiers}


def _chip_name(tree: Tree) -> object:
    chip = tree["chip"]
    return chip["name"] if isinstance(chip, dict) else chip  # pyright: ignore[reportUnknownVariableType]


def _chips(tree: Tree) -> int:
    chips = tree["chips"]
    assert isinstance(chips, int)
    return chips


def _tiers(tree: Tree) -> list[Tree]:
    tiers = tree["tiers"]
    assert isinstance(tiers, list)
    return tiers  # pyright: ignore[reportUnknownVariableType]

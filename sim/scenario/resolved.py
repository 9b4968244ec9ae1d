"""From a scenario file to the resolved tree: names replaced by what they name, pools written short.

The resolved tree explains a result on its own: it needs no catalogue, shows the defaults that were used,
and is itself a valid scenario.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast

from sim.deployment import read_deployment
from sim.documents import Document
from sim.errors import UserError, nearest
from sim.hardware import read_chip, read_cluster
from sim.hardware.catalogue import complete_cluster
from sim.models import read_model
from sim.scenario.disaggregation import read_transfer
from sim.scenario.fleet import read_fleet

Tree = dict[str, object]

_LATER = "is too long: a scenario has one, or two pools with roles prefill and decode"
_POOL_KEYS = ("name", "role", "model", "cluster", "deployment", "router")
_DEFAULTS: Tree = {"router": "round_robin", "fidelity": "analytic", "seed": 0}


def short_form(document: Document) -> Document:
    """The scenario without `pools` and `clients`: the one pool and the one client take their place, several
    clients become the workload's arrivals.

    Raises:
        UserError: for pools that make no pair, and for a key written in both forms.
    """
    if not isinstance(document.tree, dict):
        raise _refused(document, (), f"a scenario is a mapping, found {_kind(document.tree)}")
    tree = dict(cast("Tree", document.tree))
    lines = dict(document.lines)
    if "pools" in tree and _is_pair(tree["pools"]):
        _split(document, tree, lines)
    elif "pools" in tree:
        _move(document, "pools", tree, lines, ())
        _only_known(document, _POOL_KEYS)
    if "clients" in tree:
        written = tree.get("workload", {})
        if not isinstance(written, dict):
            raise _refused(document, ("workload",), f"a mapping is expected, found {_kind(written)}")
        tree["workload"] = dict(cast("Tree", written))
        if _is_several(tree["clients"]):
            _join(document, tree, lines)
        else:
            _move(document, "clients", tree, lines, ("workload",))
    return replace(document, tree=tree, lines=lines)


def _move(
    document: Document, key: str, tree: Tree, lines: dict[tuple[str | int, ...], int], into: tuple[str, ...]
) -> None:
    """Moves the single entry of the list `key` to `into`, with its lines, without name, role and share."""
    entries = tree.pop(key)
    if not isinstance(entries, list):
        raise _refused(document, (key,), f"a list with one entry is expected, found {_kind(entries)}")
    items = cast("list[object]", entries)
    if not items:
        raise _refused(document, (key,), "a list with one entry is expected, found an empty one")
    if len(items) > 1:
        raise _refused(document, (key,), f"a list of {len(items)} {_LATER}")
    if not isinstance(items[0], dict):
        raise _refused(document, (key, 0), f"a mapping is expected, found {_kind(items[0])}")
    target = cast("Tree", tree[into[0]]) if into else tree
    for name, value in cast("Tree", items[0]).items():
        if name == "role" and value != "both":
            raise _refused(
                document, (key, 0, name), f"role '{value}' needs a pool of the other role beside it"
            )
        if name in ("name", "role", "share"):
            continue
        if name in target:
            raise _refused(document, (key, 0, name), "written a second time beside the list")
        target[name] = value
    for path, line in document.lines.items():
        if path[:2] == (key, 0):
            lines[(*into, *path[2:])] = line


def _is_several(entries: object) -> bool:
    return isinstance(entries, list) and len(cast("list[object]", entries)) > 1


def _join(document: Document, tree: Tree, lines: dict[tuple[str | int, ...], int]) -> None:
    """Several clients: together they are the arrivals of the workload."""
    workload = cast("Tree", tree["workload"])
    if "arrivals" in workload:
        raise _refused(document, ("workload", "arrivals"), "written a second time beside the clients' own")
    workload["arrivals"] = {"process": "clients", "clients": tree.pop("clients")}
    for path, line in document.lines.items():
        if path[:1] == ("clients",):
            lines["workload", "arrivals", *path] = line


def _is_pair(pools: object) -> bool:
    return isinstance(pools, list) and len(cast("list[object]", pools)) == 2


def _split(document: Document, tree: Tree, lines: dict[tuple[str | int, ...], int]) -> None:
    """Two pools, for prompts and for answers: the latter is the scenario's own, the former `prefill`."""
    pools = cast("list[object]", tree.pop("pools"))
    places: dict[object, int] = {}
    for place, pool in enumerate(pools):
        if not isinstance(pool, dict):
            raise _refused(document, ("pools", place), f"a mapping is expected, found {_kind(pool)}")
        _only_known(document, _POOL_KEYS, place)
        places[cast("Tree", pool).get("role", "both")] = place
    if set(places) != {"prefill", "decode"}:
        raise _refused(document, ("pools",), "two pools are one with role prefill and one with role decode")
    prefill, decode = (dict(cast("Tree", pools[places[role]])) for role in ("prefill", "decode"))
    if prefill.pop("model", decode.get("model")) != decode.get("model"):
        raise _refused(document, ("pools", places["prefill"], "model"), "both pools serve the same model")
    for pool in (prefill, decode):
        for name in ("name", "role"):
            pool.pop(name, None)
    for name, value in {**decode, "prefill": prefill}.items():
        if name in tree:
            raise _refused(document, (name,), "written a second time beside the list")
        tree[name] = value
    for path, line in document.lines.items():
        if path[:2] == ("pools", places["decode"]):
            lines[path[2:]] = line
        elif path[:2] == ("pools", places["prefill"]):
            lines[("prefill", *path[2:])] = line


def _only_known(document: Document, known: tuple[str, ...], place: int = 0) -> None:
    pools = cast("list[Tree]", cast("Tree", document.tree)["pools"])
    for name in pools[place]:
        if name not in known:
            what = f"unknown field{nearest(name, known)} (known: {', '.join(known)})"
            raise _refused(document, ("pools", place, name), what)


def _refused(document: Document, path: tuple[str | int, ...], what: str) -> UserError:
    return UserError(f"{_place(document, path)}: {what}")


def _place(document: Document, path: tuple[str | int, ...]) -> str:
    """'file:line: path', as far as they are known."""
    line = document.line(path)
    where = document.name if line is None else f"{document.name}:{line}"
    return ": ".join([where, ".".join(map(str, path))] if path else [where])


def _kind(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, list):
        return f"a list of {len(cast('list[object]', value))}"
    return "a mapping" if isinstance(value, dict) else f"'{value}'"


def resolved(document: Document, base: Path) -> Tree:
    """The short form's tree with names inlined; a cluster written in place is completed.

    Args:
        base: folder that relative paths start from.
    Raises:
        UserError: for a name that is in no catalogue or a file that cannot be read.
    """
    tree = cast("Tree", document.tree)
    cluster = tree.get("cluster")
    if isinstance(cluster, dict):
        tree = tree | {"cluster": complete_cluster(cast("Tree", cluster), document, base, ("cluster",))}
    prefill = tree.get("prefill")
    if isinstance(prefill, dict) and isinstance(own := cast("Tree", prefill).get("cluster"), dict):
        full = complete_cluster(cast("Tree", own), document, base, ("prefill", "cluster"))
        tree = tree | {"prefill": cast("Tree", prefill) | {"cluster": full}}
    return inlined(tree, base, lambda key: _place(document, (key,)))


def inlined(tree: Tree, base: Path, place: Callable[[str], str]) -> Tree:
    """The tree with the model, cluster and chip it names in their full form, and with every default shown.

    Args:
        place: where the entry of that key was written, for errors.
    Raises:
        UserError: for a name that is in no catalogue or a file that cannot be read.
    """
    full: Tree = {"schema": 1} | tree
    with _told_from(place("model")):
        if isinstance(model := full.get("model"), str):
            full["model"] = read_model(model, base)
    _inline_pool(full, base, place, "")
    if isinstance(prefill := full.get("prefill"), dict):
        full["prefill"] = pool = dict(cast("Tree", prefill))
        _inline_pool(pool, base, place, "prefill")
        full["transfer"] = read_transfer(full.get("transfer", {}))
    if "fleet" in full:
        full["fleet"] = read_fleet(full["fleet"])
    return full | {key: full.get(key, value) for key, value in _DEFAULTS.items()}


def _inline_pool(pool: Tree, base: Path, place: Callable[[str], str], within: str) -> None:
    """A pool's cluster, its chip and its deployment in their full form."""
    with _told_from(place(within or "cluster")):
        if isinstance(cluster := pool.get("cluster"), str):
            pool["cluster"] = cluster = read_cluster(cluster, base)
        if isinstance(cluster, dict) and isinstance(chip := cast("Tree", cluster).get("chip"), str):
            pool["cluster"] = cast("Tree", cluster) | {"chip": read_chip(chip, base)}
    with _told_from(place(within or "deployment")):
        pool["deployment"] = read_deployment(pool.get("deployment"), base)


def without_engine_table(tree: Tree) -> Tree:
    """The tree with the engine's family and only those fields that differ from their version's table.

    Another family or version then brings its own.
    """
    deployment = cast("Tree", tree["deployment"])
    engine = cast("Tree", deployment["engine"])
    named = {key: engine[key] for key in ("family", "version")}
    table = cast("Tree", cast("Tree", read_deployment({"engine": named}))["engine"])
    stated = {key: value for key, value in engine.items() if value != table.get(key)}
    stated["family"] = engine["family"]
    return tree | {"deployment": deployment | {"engine": stated}}


@contextmanager
def _told_from(place: str) -> Generator[None]:
    try:
        yield
    except UserError as error:
        raise UserError(f"{place}: {error}") from None

"""Tables of achieved fractions where they are kept: in the wheel for every device of the catalogue, in the
user's cache folder for everything else.

A kind of memory is known by a key: the hash of its organisation, commands and timing, of the axes and of
`MODEL`. The file of a device in the wheel holds one table for each refresh mode and each of `ROW_PIECES`; a
file in the cache folder holds one table. Fractions are kept in ten-thousandths, causes as digits.
"""

import hashlib
import json
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.resources import files
from typing import cast

from sim.dram.cache_folder import cache_folder, keep, read_cached
from sim.dram.fraction_table import ENTRIES, RATES, SIZE, WINDOWS, FractionTable
from sim.units import BANDWIDTH, BYTES, parse

Tree = Mapping[str, object]

MODEL = 1
"""Of what the DRAM model gives; to be raised with every change that moves a fraction."""

ROW_PIECES = (128, 256, 512, 1024)
"""Bytes of a row that stay together in the tables of the wheel."""

REQUESTS = 4_000
"""Served for each entry of a table in the cache folder: a second for all of them."""
REQUESTS_UNCOMPILED = 1_000

_CAUSES = ("refresh", "turnaround", "bank_group", "act_rate", "row_conflict", "empty", "command_bus")
"""The causes of loss in the order of the digits that stand for them."""

_TELLING = ("pins", "pin_rate", "transfers_per_clock", "organisation", "commands", "timing", "clocks")
_UNIT = 10_000
_SLOW = "without numba a memory device of your own takes a minute, once: pip install 'bandwall[dram]'"


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """What a chip needs to know of its device.

    Attributes:
        channels: of a stack or package; pseudo_channels: of a channel.
        line: bytes of a transaction; row: bytes of a row.
        bandwidth: of a stack or package at the device's own pin rate, B/s.
    """

    channels: int
    pseudo_channels: int
    line: int
    row: int
    bandwidth: float


def key(device: Tree) -> str:
    """The key of a kind of memory, from its profile with each figure its value."""
    told = {name: device[name] for name in _TELLING}
    content = json.dumps([MODEL, RATES, WINDOWS, ENTRIES, told], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def device_facts(device: Tree) -> DeviceFacts:
    """The facts of a profile with each figure its value."""
    o = cast("Mapping[str, object]", device["organisation"])
    return DeviceFacts(
        channels=cast("int", o["channels"]),
        pseudo_channels=cast("int", o["pseudo_channels"]),
        line=round(parse(o["transaction"], BYTES)),
        row=round(parse(o["row"], BYTES)),
        bandwidth=cast("int", device["pins"]) * parse(device["pin_rate"], BANDWIDTH),
    )


def slot(refresh: str, row_piece: int) -> str:
    """The name of a table among those of one device."""
    return f"{refresh} {row_piece}"


@lru_cache(maxsize=16)
def shipped(device: str) -> tuple[DeviceFacts, dict[str, FractionTable]]:
    """The facts and tables, by slot, of a device of the catalogue."""
    text = (files("hardware_profiles") / "dram_tables" / f"{device}.json").read_text(encoding="utf-8")
    content = cast("Tree", json.loads(text))
    facts = DeviceFacts(**cast("dict[str, int]", content["facts"]))
    tables = cast("Mapping[str, Tree]", content["tables"])
    return facts, {name: _table(table) for name, table in tables.items()}


def shipped_text(device: Tree, tables: Mapping[str, FractionTable]) -> str:
    """What the file of a device in the wheel says."""
    head = {"key": key(device), "facts": asdict(device_facts(device))}
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(_tree(t))}" for name, t in tables.items())
    return json.dumps(head)[:-1] + f',\n"tables": {{\n{lines}\n}}}}\n'


@lru_cache(maxsize=16)
def derived(device: str, refresh: str, row_piece: int, *, causes: bool = False) -> FractionTable:
    """The table of any device, from the cache folder or derived now and kept there.

    Args:
        device: the profile with each figure its value, as JSON.
        causes: whether the table must say what is lost, too, which takes longer.
    """
    tree = cast("Tree", json.loads(device))
    name = f"{key(tree)}-{refresh}-{row_piece}.json"
    path = cache_folder() / "dram" / name
    kept = read_cached(path)
    if kept is not None and (table := _whole(kept)) is not None and (table.causes or not causes):
        return table
    table = _derive(tree, refresh, row_piece, causes=causes)
    keep(path, json.dumps(_tree(table)))
    return table


def _derive(device: Tree, refresh: str, row_piece: int, *, causes: bool) -> FractionTable:
    from sim.dram.compiled import numba_installed
    from sim.dram.derive import derive_table
    from sim.dram.devices import MemoryDevice

    if not numba_installed():
        warnings.warn(_SLOW, stacklevel=2)
    requests = REQUESTS if numba_installed() else REQUESTS_UNCOMPILED
    return derive_table(MemoryDevice.of_tree(device), row_piece, refresh, requests=requests, causes=causes)


def _tree(table: FractionTable) -> dict[str, object]:
    return {
        "fractions": [round(_UNIT * fraction) for fraction in table.fractions],
        "causes": "".join(str(_CAUSES.index(cause)) for cause in table.causes),
    }


def _table(tree: Tree) -> FractionTable:
    fractions, causes = cast("list[int]", tree["fractions"]), cast("str", tree["causes"])
    return FractionTable(tuple(f / _UNIT for f in fractions), tuple(_CAUSES[int(digit)] for digit in causes))


def _whole(text: str) -> FractionTable | None:
    """The table in a text; None for one that is damaged."""
    try:
        table = _table(cast("Tree", json.loads(text)))
    except (ValueError, KeyError, TypeError, IndexError):
        return None
    return table if len(table.fractions) == SIZE and min(table.fractions) > 0 else None

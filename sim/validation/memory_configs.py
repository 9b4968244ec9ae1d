"""Reads what a DRAM simulator was told: the JSON of one configuration and of the device it names.

The constraints of a device are taken as listed ("constraints": level, previous and next commands, ticks,
window) or, where the simulator knows distances by relation of banks ("effective_ticks"), put into the same
form. The mechanisms of the controller follow from the queues it has, and their parameters from the texts of
the rules.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from sim.documents import Document, load
from sim.dram import (
    AddressMapping,
    BankQueueController,
    Constraint,
    Device,
    MemorySystem,
    Organisation,
    Refresh,
    SharedQueueController,
    SplitActivation,
    parse_mapping,
)
from sim.dram import commands as c
from sim.errors import UserError

_LEVELS = {
    "Channel": c.CHANNEL,
    "PseudoChannel": c.PSEUDO_CHANNEL,
    "Rank": c.PSEUDO_CHANNEL,
    "Sid": c.STACK_ID,
    "BankGroup": c.BANK_GROUP,
    "Bank": c.BANK,
}
_COMMANDS = {name: number for number, name in enumerate(c.COMMAND_NAMES)} | {"ACT1": c.ACT}
_REFRESH: dict[str, Refresh] = {"off": "off", "allbank": "all-bank", "perbank": "per-bank"}


class Fields:
    """The values of a JSON tree by path; a missing or mistyped one is a UserError naming file and path."""

    def __init__(self, document: Document) -> None:
        self._document = document

    @property
    def name(self) -> str:
        """The file's name, as errors show it."""
        return self._document.name

    def find(self, *path: str) -> object:
        """The value at the path, or None."""
        here: object = self._document.tree
        for key in path:
            if not isinstance(here, dict):
                return None
            here = cast("dict[str, object]", here).get(key)
        return here

    def _typed(self, kind: type, name: str, path: Sequence[str]) -> object:
        value = self.find(*path)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise UserError(f"{self._document.name}: '{'.'.join(path)}' must be {name}, found {value!r}")
        return value

    def whole(self, *path: str) -> int:
        """A whole number."""
        return cast("int", self._typed(int, "a whole number", path))

    def number(self, *path: str) -> float:
        """A number."""
        return float(cast("float", self._typed((int | float), "a number", path)))  # pyright: ignore[reportArgumentType]

    def text(self, *path: str) -> str:
        """A string."""
        return cast("str", self._typed(str, "a text", path))

    def items(self, *path: str) -> list[object]:
        """A list."""
        return cast("list[object]", self._typed(list, "a list", path))

    def within(self, pattern: str, *path: str) -> float:
        """The number the pattern finds in a text."""
        found = re.search(pattern, self.text(*path))
        if not found:
            raise UserError(
                f"{self._document.name}: no number like '{pattern}' in the text of '{'.'.join(path)}'"
            )
        return float(found[1])


def read_system(path: Path, *, fifo: int = 0) -> MemorySystem:
    """The memory system of a configuration; its device file lies beside it.

    Args:
        fifo: requests that wait in front of each channel.
    Raises:
        UserError: for an unreadable file or one that does not say what the model needs.
    """
    config = Fields(load(path))
    device = read_device(path.parent / config.text("device_file"))
    mapping = parse_mapping(config.text("mapping", "spec_lsb_first"), path.name)
    _check_fits(mapping, device, path.name)
    shared = config.find("queues", "read_buffer") is not None
    return MemorySystem(
        device,
        mapping,
        _shared_queues(config) if shared else _bank_queues(config),
        channels=config.whole("channels"),
        fifo=fifo,
        name=config.text("config_id"),
    )


def _check_fits(mapping: AddressMapping, device: Device, name: str) -> None:
    """Every bank and column a mapping can name must be there."""
    o = device.organisation
    sizes = {
        "pc": o.pseudo_channels,
        "sid": o.stack_ids,
        "bg": o.bank_groups,
        "ba": o.group_banks,
        "ro": o.rows,
        "co": o.columns,
    }
    for field, size in sizes.items():
        if 1 << mapping.bits[field] > size:
            raise UserError(
                f"{name}: the mapping gives {mapping.bits[field]} bits to '{field}', "
                f"of which {device.name} has {size}"
            )


def _refresh(config: Fields) -> Refresh:
    mode = config.text("refresh", "mode")
    if mode not in _REFRESH:
        raise UserError(f"{config.name}: unknown refresh mode '{mode}' (known: {', '.join(_REFRESH)})")
    return _REFRESH[mode]


def _shared_queues(config: Fields) -> SharedQueueController:
    page = config.text("page_policy", "mode")
    holds_channel = "whole CHANNEL" in config.text("refresh", "detail")
    return SharedQueueController(
        depth=config.whole("queues", "read_buffer"),
        drain_above=config.within(r"([\d.]+)\*size", "write_drain", "enter_when"),
        drain_below=config.within(r"([\d.]+)\*size", "write_drain", "leave_when"),
        protect_hits=config.text("scheduler", "name") == "FRFCFSRowHit",
        cap=int(page.removeprefix("cap")) if page.startswith("cap") else None,
        refresh=_refresh(config),
        refresh_holds="channel" if holds_channel else "banks",
    )


def _bank_queues(config: Fields) -> BankQueueController:
    return BankQueueController(
        depth=config.whole("queues", "read_transaction_queue"),
        bank_depth=config.whole("queues", "per_bank_command_queue"),
        drain_idle_above=int(config.within(r"> (\d+) entries", "write_drain", "enter_when")),
        cap=int(config.within(r"row-hit cap (\d+)", "scheduler", "rule")),
        auto_precharge=config.text("page_policy", "mode") == "close",
        refresh=_refresh(config),
    )


def read_device(path: Path) -> Device:
    """The device of a configuration.

    Raises:
        UserError: for an unreadable file or one that does not say what the model needs.
    """
    fields = Fields(load(path))
    per_clock = fields.whole("clock", "ticks_per_CK")
    listed = fields.find("constraints") is not None
    return Device(
        name=fields.text("device"),
        organisation=Organisation(
            pseudo_channels=fields.whole("organization", "pseudo_channels_per_channel"),
            stack_ids=fields.whole("organization", "sids"),
            bank_groups=fields.whole("organization", "bank_groups"),
            group_banks=fields.whole("organization", "banks_per_group"),
            rows=fields.whole("organization", "rows_per_bank"),
            columns=fields.whole("organization", "columns_per_row_in_transactions"),
            transaction_bytes=fields.whole("organization", "transaction_bytes"),
        ),
        constraints=_listed(fields) if listed else _by_relation(fields),
        tick_ns=fields.number("clock", "tick_ns"),
        half_clock=per_clock == 2,
        two_slots=bool(fields.items("row_bus_commands")) if listed else True,
        burst=fields.whole("burst_ticks"),
        read_latency=_read_latency(fields, listed=listed),
        refresh_interval=_interval(fields, per_clock, listed=listed),
        bank_refresh_interval=_bank_interval(fields, per_clock, listed=listed),
        split=_split(fields, per_clock),
    )


def _read_latency(fields: Fields, *, listed: bool) -> int:
    return fields.whole(
        *(("read_latency_ticks",) if listed else ("effective_ticks", "read_data_return_after_RD"))
    )


def _interval(fields: Fields, per_clock: int, *, listed: bool) -> int:
    if listed:
        return fields.whole("timing_CK", "nREFI") * per_clock
    return fields.whole("effective_ticks", "REFI")


def _bank_interval(fields: Fields, per_clock: int, *, listed: bool) -> int:
    if listed:
        known = fields.find("timing_CK", "nREFIpb") is not None
        return fields.whole("timing_CK", "nREFIpb") * per_clock if known else 0
    if fields.find("ini_timing_ticks") is not None:
        return fields.whole("ini_timing_ticks", "tREFIb")
    return int(fields.within(r"tREFIb = (\d+)", "ini_text"))


def _split(fields: Fields, per_clock: int) -> SplitActivation | None:
    if fields.find("timing_CK", "nAAD") is None:
        return None

    def ticks(*names: str) -> int:
        return sum(fields.whole("timing_CK", name) for name in names) * per_clock

    return SplitActivation(
        second_within=ticks("nAAD"),
        read_clock=ticks("nCL", "nBL_min", "nWCKPST"),
        write_clock=ticks("nCWL", "nBL_min", "nWCKPST"),
    )


def _listed(fields: Fields) -> tuple[Constraint, ...]:
    """The list as enforced; commands the model never issues (row-hammer management) are left out."""
    found: list[Constraint] = []
    for entry in fields.items("constraints"):
        row = cast("dict[str, object]", entry)
        level = _LEVELS.get(cast("str", row["level"]))
        if level is None:
            raise UserError(f"{fields.name}: unknown level '{row['level']}' (known: {', '.join(_LEVELS)})")
        ticks, window = cast("int", row["ticks"]), cast("int", row["window"])
        for previous in cast("list[str]", row["prev"]):
            for following in cast("list[str]", row["next"]):
                if previous in _COMMANDS and following in _COMMANDS:
                    pair = _COMMANDS[previous], _COMMANDS[following]
                    found.append(Constraint(level, *pair, ticks, window, bool(row["sibling"])))
    return tuple(found)


def _by_relation(fields: Fields) -> tuple[Constraint, ...]:
    """Distances within a bank, a bank group or a channel; a refreshed bank and the others have their own."""

    def ticks(name: str) -> int:
        return fields.whole("effective_ticks", name)

    own = int(fields.within(r"refreshed bank tRFCb=(\d+)", "effective_ticks", "REFpb"))
    others = int(fields.within(r"others tRREFD=(\d+)", "effective_ticks", "REFpb"))
    reads, writes = (c.RD, c.RDA), (c.WR, c.WRA)
    refreshes = (c.REFAB, c.REFPB)
    table: list[tuple[int, Sequence[int], Sequence[int], int]] = [
        (c.PSEUDO_CHANNEL, reads, reads, ticks("RD_to_RD_other_bg")),
        (c.BANK_GROUP, reads, reads, ticks("RD_to_RD_same_bg")),
        (c.PSEUDO_CHANNEL, writes, writes, ticks("WR_to_WR_other_bg")),
        (c.BANK_GROUP, writes, writes, ticks("WR_to_WR_same_bg")),
        (c.PSEUDO_CHANNEL, reads, writes, ticks("RD_to_WR")),
        (c.PSEUDO_CHANNEL, writes, reads, ticks("WR_to_RD_other_bg")),
        (c.BANK_GROUP, writes, reads, ticks("WR_to_RD_same_bg")),
        (c.BANK, (c.RD,), (c.PRE,), ticks("RD_to_PRE")),
        (c.BANK, (c.WR,), (c.PRE,), ticks("WR_to_PRE")),
        (c.BANK, (c.ACT,), (c.ACT,), ticks("ACT_to_ACT_same_bank")),
        (c.BANK_GROUP, (c.ACT,), (c.ACT,), ticks("ACT_to_ACT_same_bg")),
        (c.PSEUDO_CHANNEL, (c.ACT,), (c.ACT,), ticks("ACT_to_ACT_other_bg")),
        (c.BANK, (c.ACT,), reads, ticks("ACT_to_RD")),
        (c.BANK, (c.ACT,), writes, ticks("ACT_to_WR")),
        (c.BANK, (c.ACT,), (c.PRE,), ticks("ACT_to_PRE")),
        (c.BANK, (c.PRE,), (c.ACT,), ticks("PRE_to_ACT")),
        (c.BANK, (c.RDA,), (c.ACT,), ticks("RDA_to_ACT")),
        (c.BANK, (c.WRA,), (c.ACT,), ticks("WRA_to_ACT")),
        (c.BANK, (c.PRE,), refreshes, ticks("PRE_to_REF")),
        (c.BANK, (c.RDA,), refreshes, ticks("RD_to_PRE") + ticks("PRE_to_ACT")),
        (c.BANK, (c.WRA,), refreshes, ticks("WR_to_PRE") + ticks("PRE_to_ACT")),
        (c.PSEUDO_CHANNEL, (c.REFAB,), (c.ACT, c.REFAB), ticks("REF_to_ACT")),
        (c.BANK, (c.REFPB,), (c.ACT, c.REFPB), own),
        (c.PSEUDO_CHANNEL, (c.REFPB,), (c.ACT, c.REFPB), others),
    ]
    pairs = [
        Constraint(level, previous, following, distance)
        for level, before, after, distance in table
        for previous in before
        for following in after
    ]
    window = Constraint(c.PSEUDO_CHANNEL, c.ACT, c.ACT, ticks("four_ACT_window"), window=4)
    return (*pairs, window)

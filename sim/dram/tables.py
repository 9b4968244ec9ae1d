"""Derives the tables of the wheel: `python -m sim.dram.tables [FOLDER [DEVICE …]]`."""

import sys
from pathlib import Path
from typing import get_args

from sim.documents import write_text
from sim.dram.derive import derive_table
from sim.dram.devices import MemoryDevice, device_names, read_device
from sim.dram.interleaving import row_piece_lines
from sim.dram.stored_tables import ROW_PIECES, device_facts, shipped_text, slot
from sim.dram.system import Refresh
from sim.figures import Resolution
from sim.hardware.memory_profile import plain_device

REQUESTS = 10_000
"""Served for each entry: several refresh intervals of a channel."""


def device_text(name: str, requests: int = REQUESTS) -> str:
    """What the file of a device of the catalogue says."""
    tree = plain_device(read_device(name), Resolution())
    facts, device = device_facts(tree), MemoryDevice.of_tree(tree)
    pieces = {row_piece_lines(piece, facts.line, facts.row) * facts.line for piece in ROW_PIECES}
    tables = {
        slot(refresh, piece): derive_table(device, piece, refresh, requests=requests, causes=True)
        for refresh in get_args(Refresh)
        if refresh != "off"
        for piece in sorted(pieces)
    }
    return shipped_text(tree, tables)


def main(arguments: list[str]) -> None:
    """Writes the files of the named devices, or of all, into a folder."""
    shipped = Path(__file__).parents[2] / "hardware_profiles" / "dram_tables"
    folder = Path(arguments[0]) if arguments else shipped
    for name in arguments[1:] or device_names():
        write_text(folder / f"{name}.json", device_text(name))


if __name__ == "__main__":
    main(sys.argv[1:])

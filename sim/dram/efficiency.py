"""f_dram of a chip: the fraction of its peak that an access gets, from the table of its kind of memory.

    rate   = bandwidth / (stacks · device bandwidth)               the pin rate over the device's own
    window = min(queue, outstanding / (stacks · channels · pseudo-channels · line))
    f      = table(rate, window, kind, contiguous in a channel / line)

A piece shorter than a transaction moves the whole of it and uses its own share.
"""

import json
import math
from dataclasses import dataclass

from sim.dram.fraction_table import FractionTable
from sim.dram.interleaving import contiguous_in_channel, row_piece_lines
from sim.dram.stored_tables import DeviceFacts, derived, device_facts, shipped, slot
from sim.figures import Resolution
from sim.hardware.chip import Memory
from sim.hardware.memory_profile import plain_device
from sim.operators.access import Access

_LEAST_WINDOW = 1.0


@dataclass(frozen=True, slots=True)
class Efficiency:
    """What an access gets of a chip's memory.

    Attributes:
        fraction: of the peak; contiguous: bytes of a piece that one channel finds in a row, 0 without end.
        cause: what most of the rest is lost to, "" where that was not derived.
    """

    fraction: float
    contiguous: float
    cause: str


@dataclass(frozen=True, slots=True)
class DramEfficiency:
    """The memory of one chip on the axes of its table."""

    table: FractionTable
    facts: DeviceFacts
    rate: float
    window: float
    interleave: float
    channels: int

    def of(self, access: Access) -> Efficiency:
        """What the access gets."""
        contiguous = contiguous_in_channel(access.contiguous, self.interleave, self.channels)
        lines = contiguous / self.facts.line
        if access.kind in ("gather", "append") and not contiguous:
            lines = math.inf
        fraction, cause = self.table.at(self.rate, self.window, access.kind, lines)
        used = min(1.0, lines) if lines else 1.0
        return Efficiency(fraction * used, contiguous, cause)


def dram_efficiency(memory: Memory, *, causes: bool = False) -> DramEfficiency:
    """The efficiency of a chip's memory; a device of the user's own has its table derived on first use.

    Args:
        causes: whether a table that is derived must say what is lost, too; those of the catalogue do.
    """
    own = memory.device_profile
    if own is None:
        facts, tables = shipped(memory.device.lower())
    else:
        facts, tables = device_facts(own), {}
    piece = row_piece_lines(memory.row_piece, facts.line, facts.row) * facts.line
    table = tables.get(slot(memory.refresh, piece))
    if table is None:
        table = derived(
            json.dumps(own or _shipped_profile(memory.device)), memory.refresh, piece, causes=causes
        )
    channels = memory.stacks * facts.channels
    in_flight = memory.outstanding / (channels * facts.pseudo_channels * facts.line)
    return DramEfficiency(
        table=table,
        facts=facts,
        rate=memory.bandwidth / (memory.stacks * facts.bandwidth),
        window=max(_LEAST_WINDOW, min(memory.queue, in_flight)),
        interleave=memory.interleave,
        channels=channels,
    )


def _shipped_profile(device: str) -> dict[str, object]:
    from sim.dram.devices import read_device

    return plain_device(read_device(device), Resolution())

"""The memory of a chip as a memory system: one channel stands for all, which carry equal shares.

The channel runs at the pin rate that gives the chip its bandwidth and has the requests in flight that fall
to it:

    pin rate = bandwidth / (stacks · pins)
    in flight = outstanding bytes / (stacks · channels · transaction)

Most of what is in flight is on its way through the chip; the controller chooses among at most `queue` of
them.
"""

from dataclasses import dataclass

from sim.dram.device import Organisation
from sim.dram.devices import MemoryDevice
from sim.dram.interleaving import contiguous_in_channel, row_piece_lines
from sim.dram.mapping import AddressMapping, Hash
from sim.dram.system import MemorySystem, Refresh, SharedQueueController

INTERLEAVE = 512
"""Bytes one channel holds before the next has its turn, where no chip says otherwise."""

ROW_PIECE = 256
"""Bytes of a row that stay together before pseudo-channel and bank group change, where no chip says
otherwise."""

QUEUE = 128
"""Requests per pseudo-channel among which the controller chooses, where no chip says otherwise."""


@dataclass(frozen=True, slots=True)
class ChipMemory:
    """One channel of a chip's memory and how many there are.

    Attributes:
        channels: of the chip; interleave: bytes before the next channel has its turn.
        bandwidth: peak of the chip, B/s.
    """

    system: MemorySystem
    channels: int
    interleave: float
    bandwidth: float

    def contiguous_in_channel(self, size: float) -> int:
        """Bytes of a contiguous piece of `size` bytes that one channel sees in a row."""
        return round(contiguous_in_channel(size, self.interleave, self.channels))


def chip_memory(
    device: MemoryDevice,
    *,
    stacks: int,
    bandwidth: float,
    outstanding: float,
    refresh: Refresh = "per-bank",
    interleave: float = INTERLEAVE,
    row_piece: float = ROW_PIECE,
    queue: float = QUEUE,
) -> ChipMemory:
    """The memory of a chip with `stacks` stacks of `device`.

    Args:
        bandwidth: peak, B/s; outstanding: bytes of reads in flight.
        interleave: bytes before the next channel; row_piece: bytes that stay in one row.
        queue: requests a pseudo-channel's controller chooses among.
    """
    channels = stacks * device.channels
    channel = device.channel(bandwidth / (stacks * device.profile.pins))
    line = channel.organisation.transaction_bytes
    pseudo_channels = channel.organisation.pseudo_channels
    in_flight = max(1.0, outstanding / (channels * line))
    system = MemorySystem(
        channel,
        interleaved_mapping(channel.organisation, row_piece),
        SharedQueueController(depth=round(min(in_flight, queue * pseudo_channels)), refresh=refresh),
        name=device.name,
    )
    return ChipMemory(system, channels, interleave, bandwidth)


def interleaved_mapping(organisation: Organisation, row_piece: float = ROW_PIECE) -> AddressMapping:
    """Neighbouring pieces of `row_piece` bytes change pseudo-channel and bank group; banks are hashed by the
    row.

    So a stream keeps all bank groups busy, and streams a power of two apart do not meet in one bank.
    """
    o = organisation
    bits = {
        "pc": o.pseudo_channels.bit_length() - 1,
        "bg": o.bank_groups.bit_length() - 1,
        "ba": o.group_banks.bit_length() - 1,
        "sid": o.stack_ids.bit_length() - 1,
        "ro": o.rows.bit_length() - 1,
    }
    low = row_piece_lines(row_piece, o.transaction_bytes, o.columns * o.transaction_bytes).bit_length() - 1
    columns = o.columns.bit_length() - 1
    order = [
        ("co", low),
        ("pc", bits["pc"]),
        ("bg", bits["bg"]),
        ("co", columns - low),
        ("ba", bits["ba"]),
        ("sid", bits["sid"]),
        ("ro", bits["ro"]),
    ]
    shift = 0
    hashes: list[Hash] = []
    for name in ("bg", "ba", "pc", "sid"):
        if bits[name]:
            hashes.append(Hash(name, "ro", shift))
            shift += bits[name]
    return AddressMapping(tuple((name, width) for name, width in order if width), tuple(hashes))

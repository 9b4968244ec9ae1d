"""A controller with one read and one write queue per channel, shared by its banks and pseudo-channels.

FR-FCFS: in each slot the oldest request whose next command (RD or WR on a row hit, ACT on a closed bank, PRE
on a conflict) may issue now. A request whose ACT has issued waits in the active list, ahead of the queues.
Refreshes wait in a list of their own; while one waits, either the whole channel or just its banks are held.

Requests are numbered in the order of the stream, which is also the order of their acceptance, so the oldest
of several is the smallest number. Each queue is a list per bank, of which only the oldest hit and the oldest
other request can be next: columns HIT and MISS remember them.
"""

from typing import Final, NamedTuple

from sim.dram.state import (
    ACCEPTED,
    AFTER,
    BANK_OF,
    BANKS,
    BEFORE,
    CHANNELS,
    DEPARTED,
    HEAD,
    HIT,
    INJECTED,
    LINE,
    LINES,
    MISS,
    OPEN_ROW,
    QUEUED,
    READS,
    REQUESTS,
    ROW_OF,
    SLOTS,
    TAIL,
    WRITE,
    WRITES,
    WRITING,
    Ints,
)
from sim.dram.timing import close_row

ALL_BANK: Final = 1
ROUND_ROBIN: Final = 2
SAME_BANK: Final = 3


class SharedPolicy(NamedTuple):
    """What a shared-queue controller is told; ticks are the device's.

    Attributes:
        depth: entries of the read and of the write queue.
        drain_above, drain_below: fill of the write queue at which writing starts and may stop.
        half_clock: a tick is half a CK; all but PRE issue on odd ticks.
        protect_hits: a PRE waits for row hits that are no younger.
        cap: column accesses after which a row is closed; 0 keeps it open.
        refresh: 0 off, ALL_BANK, ROUND_ROBIN (a bank at a time), SAME_BANK (of each pseudo-channel).
        interval: ticks from refresh to refresh.
        holds_channel: a waiting refresh holds the requests of the whole channel.
        read_latency: ticks from RD to the end of its data.
        channel_banks, scope_banks: banks of a channel and of a pseudo-channel.
        split: opening a row takes two commands and a burst needs the data clock (LPDDR5).
        second_within: ticks from ACT1 by which ACT2 must follow.
        read_clock, write_clock: ticks the data clock runs on after RD and WR.
    """

    depth: int
    drain_above: float
    drain_below: float
    half_clock: bool
    protect_hits: bool
    cap: int
    refresh: int
    interval: int
    holds_channel: bool
    read_latency: int
    channel_banks: int
    scope_banks: int
    split: bool
    second_within: int
    read_clock: int
    write_clock: int


def accept(p: SharedPolicy, m: Ints, i: int, tick: int) -> bool:
    """Takes request `i` at `tick` unless its queue is full.

    A read of a buffered write departs a tick later, a write to one at once (it is merged): DEPARTED is then
    set.
    """
    bank, kind, line = m[REQUESTS + i, BANK_OF], m[REQUESTS + i, WRITE], m[REQUESTS + i, LINE]
    slot = line & (SLOTS - 1)
    if m[LINES + slot, WRITES] and _write_is_queued(m, bank, line):
        m[REQUESTS + i, ACCEPTED] = tick
        m[REQUESTS + i, DEPARTED] = tick + 1 - kind
        return True
    channel = bank // p.channel_banks
    if m[CHANNELS + channel, QUEUED + kind] >= p.depth:
        return False
    m[CHANNELS + channel, QUEUED + kind] += 1
    m[LINES + slot, kind] += 1
    m[REQUESTS + i, ACCEPTED] = tick
    _append(m, bank, kind, i)
    row = m[BANKS + bank, OPEN_ROW]
    if row >= 0:
        column = HIT if row == m[REQUESTS + i, ROW_OF] else MISS
        if m[BANKS + bank, column + kind] < 0:
            m[BANKS + bank, column + kind] = i
    return True


def _write_is_queued(m: Ints, bank: int, line: int) -> bool:
    i = m[BANKS + bank, HEAD + WRITES]
    while i >= 0 and m[REQUESTS + i, LINE] != line:
        i = m[REQUESTS + i, AFTER]
    return i >= 0


def _append(m: Ints, bank: int, kind: int, i: int) -> None:
    last = m[BANKS + bank, TAIL + kind]
    m[REQUESTS + i, BEFORE] = last
    m[REQUESTS + i, AFTER] = -1
    if last < 0:
        m[BANKS + bank, HEAD + kind] = i
    else:
        m[REQUESTS + last, AFTER] = i
    m[BANKS + bank, TAIL + kind] = i


def take_out(p: SharedPolicy, m: Ints, i: int) -> None:
    """Unlinks a request from its queue."""
    bank, kind = m[REQUESTS + i, BANK_OF], m[REQUESTS + i, WRITE]
    before, after = m[REQUESTS + i, BEFORE], m[REQUESTS + i, AFTER]
    if before < 0:
        m[BANKS + bank, HEAD + kind] = after
    else:
        m[REQUESTS + before, AFTER] = after
    if after < 0:
        m[BANKS + bank, TAIL + kind] = before
    else:
        m[REQUESTS + after, BEFORE] = before
    m[CHANNELS + bank // p.channel_banks, QUEUED + kind] -= 1
    m[LINES + (m[REQUESTS + i, LINE] & (SLOTS - 1)), kind] -= 1


def next_of_row(m: Ints, i: int, row: int) -> int:
    while i >= 0 and m[REQUESTS + i, ROW_OF] != row:
        i = m[REQUESTS + i, AFTER]
    return i


def next_of_other_row(m: Ints, i: int, row: int) -> int:
    while i >= 0 and m[REQUESTS + i, ROW_OF] == row:
        i = m[REQUESTS + i, AFTER]
    return i


def opened(m: Ints, bank: int, row: int) -> None:
    m[BANKS + bank, OPEN_ROW] = row
    for kind in range(2):
        head = m[BANKS + bank, HEAD + kind]
        m[BANKS + bank, HIT + kind] = next_of_row(m, head, row)
        m[BANKS + bank, MISS + kind] = next_of_other_row(m, head, row)


def closed(m: Ints, bank: int) -> None:
    close_row(m, bank)
    m[BANKS + bank, INJECTED] = 0
    for kind in range(2):
        m[BANKS + bank, HIT + kind] = -1
        m[BANKS + bank, MISS + kind] = -1


def served_kind(p: SharedPolicy, m: Ints, channel: int) -> int:
    """The queue to serve: writes from a nearly full write queue, or no read, down to a nearly empty one."""
    reads, writes = m[CHANNELS + channel, QUEUED + READS], m[CHANNELS + channel, QUEUED + WRITES]
    if not m[CHANNELS + channel, WRITING]:
        if writes > p.drain_above or reads == 0:
            m[CHANNELS + channel, WRITING] = 1
    elif writes < p.drain_below and reads != 0:
        m[CHANNELS + channel, WRITING] = 0
    return m[CHANNELS + channel, WRITING]

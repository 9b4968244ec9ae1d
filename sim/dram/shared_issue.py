"""First-ready, first-come first-served: which request of a shared-queue controller issues its next command.

Each choice comes with the next tick at which there may be one, so that the event loop can jump there.
"""

from sim.dram.commands import ACT, CLOSED, FAR, HALF_OPEN, PRE, RD, RDA, WRA
from sim.dram.shared_queue import SharedPolicy, closed, next_of_row, opened, take_out
from sim.dram.shared_refresh import may_pair, note_pair
from sim.dram.state import (
    ACCEPTED,
    ACCESSES,
    ACTIVATED,
    ACTIVATING,
    ACTIVE,
    ACTIVE_LIST,
    AFTER,
    BANK_OF,
    BANKS,
    CHANNELS,
    DEPARTED,
    HEAD,
    HELD,
    HIT,
    MISS,
    OPEN_ROW,
    REQUESTS,
    ROW_OF,
    SECOND_BY,
    WRITE,
    WRITES,
    Ints,
)
from sim.dram.timing import earliest, earliest_own, earliest_shared, issue, record


def active_column(m: Ints, channel: int, tick: int) -> tuple[int, int]:
    """(oldest active request whose burst may issue now or -1, next tick at which one may)."""
    best, wake = -1, FAR
    for k in range(m[CHANNELS + channel, ACTIVE]):
        i = m[ACTIVE_LIST + k, channel]
        bank = m[REQUESTS + i, BANK_OF]
        if m[BANKS + bank, OPEN_ROW] == m[REQUESTS + i, ROW_OF]:
            allowed = earliest(m, bank, RD + m[REQUESTS + i, WRITE])
            if allowed > tick:
                wake = min(wake, allowed)
            elif best < 0 or m[REQUESTS + i, ACCEPTED] < m[REQUESTS + best, ACCEPTED]:
                best = i
    return best, wake


def queued_column(p: SharedPolicy, m: Ints, channel: int, kind: int, tick: int) -> tuple[int, int]:
    """(oldest row hit of the queue being served that may issue now or -1, next tick at which one may)."""
    best, wake = -1, FAR
    command = RD + kind
    for first in range(channel * p.channel_banks, (channel + 1) * p.channel_banks, p.scope_banks):
        shared = earliest_shared(m, first, command)
        for bank in range(first, first + p.scope_banks):
            i = m[BANKS + bank, HIT + kind]
            if i < 0 or m[BANKS + bank, HELD]:
                continue
            if shared > tick:
                wake = min(wake, shared)  # none of this pseudo-channel's can be sooner
                break
            allowed = earliest_own(m, bank, command)
            if allowed > tick:
                wake = min(wake, allowed)
            elif best < 0 or i < best:
                best = i
    return best, wake


def queued_row(p: SharedPolicy, m: Ints, channel: int, kind: int, tick: int) -> tuple[int, int]:
    """(oldest queued request whose ACT or PRE may issue now or -1, next tick at which one may)."""
    best, wake = -1, FAR
    falling = p.half_clock and tick % 2 == 0
    for first in range(channel * p.channel_banks, (channel + 1) * p.channel_banks, p.scope_banks):
        shared_act = earliest_shared(m, first, ACT)
        shared_pre = earliest_shared(m, first, PRE)
        if m[CHANNELS + channel, ACTIVATING] >= 0:
            shared_act = FAR
        elif falling:
            shared_act = max(shared_act, tick + 1)
        for bank in range(first, first + p.scope_banks):
            if m[BANKS + bank, HEAD + kind] < 0 or m[BANKS + bank, HELD]:
                continue
            if m[BANKS + bank, OPEN_ROW] == CLOSED:
                i, command, allowed = m[BANKS + bank, HEAD + kind], ACT, shared_act
            else:
                i, command, allowed = m[BANKS + bank, MISS + kind], PRE, shared_pre
                if (
                    i < 0
                    or m[BANKS + bank, ACTIVATED]
                    or (p.protect_hits and _hit_is_older(m, bank, kind, i))
                ):
                    continue
            if allowed <= tick:
                allowed = earliest_own(m, bank, command)
                if falling and allowed <= tick and not may_pair(p, m, bank, PRE, tick):
                    allowed = tick + 1
            if allowed > tick:
                wake = min(wake, allowed)
            elif best < 0 or i < best:
                best = i
    return best, wake


def _hit_is_older(m: Ints, bank: int, kind: int, i: int) -> bool:
    hit = m[BANKS + bank, HIT + kind]
    return hit >= 0 and m[REQUESTS + hit, ACCEPTED] <= m[REQUESTS + i, ACCEPTED]


def issue_column(p: SharedPolicy, m: Ints, i: int, tick: int, active: bool) -> None:
    bank, row, kind = m[REQUESTS + i, BANK_OF], m[REQUESTS + i, ROW_OF], m[REQUESTS + i, WRITE]
    command = RD + kind
    alone = m[BANKS + bank, ACTIVATED] == active  # no other request counts on the row
    if p.cap and alone and m[BANKS + bank, ACCESSES] >= p.cap and earliest(m, bank, RDA + kind) <= tick:
        command = RDA + kind
    issue(m, bank, command, tick)
    record(m, tick, command, bank, row, i)
    m[BANKS + bank, ACCESSES] += 1
    m[REQUESTS + i, DEPARTED] = tick if kind == WRITES else tick + p.read_latency
    if active:
        _leave_active(m, bank // p.channel_banks, i)
    else:
        after = m[REQUESTS + i, AFTER]
        take_out(p, m, i)
        m[BANKS + bank, HIT + kind] = next_of_row(m, after, row)
    if command in (RDA, WRA):
        closed(m, bank)


def _leave_active(m: Ints, channel: int, i: int) -> None:
    last = m[CHANNELS + channel, ACTIVE] - 1
    k = 0
    while m[ACTIVE_LIST + k, channel] != i:
        k += 1
    for position in range(k, last):
        m[ACTIVE_LIST + position, channel] = m[ACTIVE_LIST + position + 1, channel]
    m[CHANNELS + channel, ACTIVE] = last
    m[BANKS + m[REQUESTS + i, BANK_OF], ACTIVATED] -= 1


def issue_row(p: SharedPolicy, m: Ints, i: int, tick: int) -> None:
    bank, row = m[REQUESTS + i, BANK_OF], m[REQUESTS + i, ROW_OF]
    command = ACT if m[BANKS + bank, OPEN_ROW] == CLOSED else PRE
    issue(m, bank, command, tick)
    record(m, tick, command, bank, row, i)
    note_pair(p, m, bank, command, tick)
    if command == PRE:
        closed(m, bank)
        return
    channel = bank // p.channel_banks
    if p.split:
        take_out(p, m, i)
        m[BANKS + bank, OPEN_ROW] = HALF_OPEN
        m[BANKS + bank, ACTIVATED] += 1
        m[CHANNELS + channel, ACTIVATING] = i
        m[CHANNELS + channel, SECOND_BY] = tick + p.second_within
        return
    if m[CHANNELS + channel, ACTIVE] < p.channel_banks:
        take_out(p, m, i)
        enter_active(m, channel, i)
        m[BANKS + bank, ACTIVATED] += 1
    opened(m, bank, row)


def enter_active(m: Ints, channel: int, i: int) -> None:
    """The request waits for its burst ahead of the queues."""
    m[ACTIVE_LIST + m[CHANNELS + channel, ACTIVE], channel] = i
    m[CHANNELS + channel, ACTIVE] += 1

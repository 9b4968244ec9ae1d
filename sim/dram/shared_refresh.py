"""Refreshes of a shared-queue controller: when they are due, what they hold, and the commands they need.

A refresh waits in its channel's list until its banks are closed and timing allows it; only the first of the
list may go on. Precharges for a cap on row hits wait in the same list.
"""

from sim.dram.commands import ACT, CLOSED, FAR, PRE, PREAB, REFAB, REFPB
from sim.dram.shared_queue import ALL_BANK, ROUND_ROBIN, SAME_BANK, SharedPolicy, closed
from sim.dram.state import (
    ACCESSES,
    ACTIVATED,
    BANKS,
    CHANNELS,
    HELD,
    INJECTED,
    NEXT_BANK,
    NEXT_REFRESH,
    NEXT_SCOPE,
    OPEN_ROW,
    PAIR_BANK,
    PAIR_COMMAND,
    PAIR_TICK,
    REFRESH_BANKS,
    REFRESH_COMMANDS,
    REFRESH_LIMIT,
    REFRESHES,
    REFRESHES_FIRST,
    Ints,
)
from sim.dram.timing import earliest, issue, record


def refresh_due(p: SharedPolicy, m: Ints, channel: int, tick: int) -> bool:
    """Puts the refreshes due at `tick` into the waiting list; whether there were any."""
    first = channel * p.channel_banks
    if p.refresh == SAME_BANK and m[CHANNELS + channel, NEXT_SCOPE] >= 0:
        _send_same_bank(p, m, channel)
        return True
    if p.refresh == 0 or tick < m[CHANNELS + channel, NEXT_REFRESH]:
        return False
    m[CHANNELS + channel, NEXT_REFRESH] += p.interval
    if p.refresh == ALL_BANK:
        for scope in range(p.channel_banks // p.scope_banks):
            _send_refresh(p, m, first + scope * p.scope_banks, REFAB)
    elif p.refresh == ROUND_ROBIN:
        _send_refresh(p, m, first + m[CHANNELS + channel, NEXT_BANK], REFPB)
        m[CHANNELS + channel, NEXT_BANK] = (m[CHANNELS + channel, NEXT_BANK] + 1) % p.channel_banks
    else:
        m[CHANNELS + channel, NEXT_SCOPE] = 0
        _send_same_bank(p, m, channel)
    return True


def _send_same_bank(p: SharedPolicy, m: Ints, channel: int) -> None:
    """One refresh a tick: the same bank in each pseudo-channel, then on to the next bank."""
    scope = m[CHANNELS + channel, NEXT_SCOPE]
    bank = m[CHANNELS + channel, NEXT_BANK]
    _send_refresh(p, m, channel * p.channel_banks + scope * p.scope_banks + bank, REFPB)
    if (scope + 1) * p.scope_banks < p.channel_banks:
        m[CHANNELS + channel, NEXT_SCOPE] = scope + 1
    else:
        m[CHANNELS + channel, NEXT_SCOPE] = -1
        m[CHANNELS + channel, NEXT_BANK] = (bank + 1) % p.scope_banks


def _send_refresh(p: SharedPolicy, m: Ints, bank: int, command: int) -> None:
    """Puts a refresh (or a precharge for the cap) at the end of the waiting list and holds its banks."""
    channel = bank // p.channel_banks
    size = REFRESH_LIMIT
    at = (m[CHANNELS + channel, REFRESHES_FIRST] + m[CHANNELS + channel, REFRESHES]) % size
    m[REFRESH_COMMANDS + at, channel] = command
    m[REFRESH_BANKS + at, channel] = bank
    m[CHANNELS + channel, REFRESHES] += 1
    if m[CHANNELS + channel, REFRESHES] == 1:
        _hold(p, m, bank, command, 1)


def drop_refresh(p: SharedPolicy, m: Ints, channel: int) -> None:
    first = m[CHANNELS + channel, REFRESHES_FIRST]
    command, bank = (
        m[REFRESH_COMMANDS + first, channel],
        m[REFRESH_BANKS + first, channel],
    )
    m[CHANNELS + channel, REFRESHES_FIRST] = (first + 1) % REFRESH_LIMIT
    m[CHANNELS + channel, REFRESHES] -= 1
    _hold(p, m, bank, command, 0)
    if m[CHANNELS + channel, REFRESHES]:
        first = m[CHANNELS + channel, REFRESHES_FIRST]
        _hold(
            p,
            m,
            m[REFRESH_BANKS + first, channel],
            m[REFRESH_COMMANDS + first, channel],
            1,
        )


def _hold(p: SharedPolicy, m: Ints, bank: int, command: int, held: int) -> None:
    for other in range(bank, bank + (p.scope_banks if command == REFAB else 1)):
        m[BANKS + other, HELD] = held


def send_cap_precharges(p: SharedPolicy, m: Ints, channel: int, tick: int) -> int:
    """Closes rows that have had their accesses as soon as timing allows: the next tick to look, or `tick`."""
    wake = FAR
    for bank in range(channel * p.channel_banks, (channel + 1) * p.channel_banks):
        if m[BANKS + bank, ACCESSES] >= p.cap and not m[BANKS + bank, INJECTED]:
            allowed = earliest(m, bank, PRE)
            if allowed <= tick:
                _send_refresh(p, m, bank, PRE)
                m[BANKS + bank, INJECTED] = 1
                allowed = tick
            wake = min(wake, allowed)
    return wake


def refresh_row(p: SharedPolicy, m: Ints, channel: int, tick: int) -> tuple[int, int]:
    """(command of the first waiting refresh if it may issue now or -1, next tick at which it may)."""
    first = m[CHANNELS + channel, REFRESHES_FIRST]
    command, bank = (
        m[REFRESH_COMMANDS + first, channel],
        m[REFRESH_BANKS + first, channel],
    )
    if command == REFAB:
        activated = 0
        for other in range(bank, bank + p.scope_banks):
            activated += m[BANKS + other, ACTIVATED]
            if m[BANKS + other, OPEN_ROW] != CLOSED:
                command = PREAB
        if command == PREAB and activated:
            return -1, FAR
    elif command == REFPB and m[BANKS + bank, OPEN_ROW] != CLOSED:
        command = PRE
    if command == PRE and m[BANKS + bank, ACTIVATED]:
        return -1, FAR
    allowed = earliest(m, bank, command)
    if allowed > tick:
        return -1, allowed
    falling = p.half_clock and tick % 2 == 0
    if falling and (command in (REFAB, REFPB) or not may_pair(p, m, bank, command, tick)):
        return -1, tick + 1
    return command, FAR


def issue_refresh(p: SharedPolicy, m: Ints, channel: int, command: int, tick: int) -> None:
    first = m[CHANNELS + channel, REFRESHES_FIRST]
    final, bank = (
        m[REFRESH_COMMANDS + first, channel],
        m[REFRESH_BANKS + first, channel],
    )
    issue(m, bank, command, tick)
    record(m, tick, command, bank, CLOSED, -1)
    note_pair(p, m, bank, command, tick)
    if command in (PREAB, PRE):
        for other in range(bank, bank + (p.scope_banks if command == PREAB else 1)):
            closed(m, other)
    if command == final:
        drop_refresh(p, m, channel)


def may_pair(p: SharedPolicy, m: Ints, bank: int, command: int, tick: int) -> bool:
    """Whether a PRE may follow the row command of the rising edge on this falling edge (HBM3, HBM4)."""
    channel = bank // p.channel_banks
    other = m[CHANNELS + channel, PAIR_BANK]
    if tick != m[CHANNELS + channel, PAIR_TICK] or other // p.scope_banks != bank // p.scope_banks:
        return True
    if m[CHANNELS + channel, PAIR_COMMAND] == PREAB or m[CHANNELS + channel, PAIR_COMMAND] == REFAB:
        return False
    return command == PRE and other != bank


def note_pair(p: SharedPolicy, m: Ints, bank: int, command: int, tick: int) -> None:
    if p.half_clock and tick % 2 == 1:
        channel = bank // p.channel_banks
        m[CHANNELS + channel, PAIR_COMMAND] = command
        m[CHANNELS + channel, PAIR_BANK] = bank
        m[CHANNELS + channel, PAIR_TICK] = tick + (3 if command == ACT else 1)

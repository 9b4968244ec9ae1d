"""The command bus of LPDDR5: a row opens in two steps, and a burst needs the data clock running.

ACT2 must follow ACT1 within `second_within` ticks and goes out when nothing else can, or when it must. A
burst while the data clock stands is preceded by a CAS that starts it and takes the tick before; each burst
keeps the clock running for a while.
"""

from sim.dram.commands import ACT2, CAS_RD, FAR, RD
from sim.dram.one_slot import choose_one
from sim.dram.shared_issue import enter_active, issue_column, issue_row
from sim.dram.shared_queue import SharedPolicy, opened
from sim.dram.shared_refresh import issue_refresh
from sim.dram.state import (
    ACTIVATING,
    ACTIVE,
    ACTIVE_LIST,
    BANK_OF,
    CHANNELS,
    CLOCK_UNTIL,
    REQUESTS,
    ROW_OF,
    SECOND_BY,
    SYNCHRONISED,
    WRITE,
    Ints,
)
from sim.dram.timing import earliest, issue, record


def issue_commands(p: SharedPolicy, m: Ints, channel: int, tick: int) -> tuple[int, bool, int]:
    """One command: (request whose burst issued or -1, another command issued, next tick)."""
    i = m[CHANNELS + channel, SYNCHRONISED]
    if i >= 0:
        return _burst_after_clock(p, m, channel, i, tick)
    half_open = m[CHANNELS + channel, ACTIVATING] >= 0
    if half_open and m[CHANNELS + channel, SECOND_BY] <= tick:
        _issue_second(m, channel, tick)
        return -1, True, FAR
    burst, active, refresh, row, wake = choose_one(p, m, channel, tick)
    if burst >= 0 and tick >= m[CHANNELS + channel, CLOCK_UNTIL]:
        if half_open and m[CHANNELS + channel, SECOND_BY] <= tick + 1:
            _issue_second(m, channel, tick)
        else:
            _start_clock(m, channel, burst, tick)
        return -1, True, FAR
    if burst >= 0:
        _burst(p, m, channel, burst, active, tick)
    elif refresh >= 0:
        issue_refresh(p, m, channel, refresh, tick)
    elif row >= 0:
        issue_row(p, m, row, tick)
    elif half_open:
        _issue_second(m, channel, tick)
    return burst, half_open or refresh >= 0 or row >= 0, wake


def _start_clock(m: Ints, channel: int, i: int, tick: int) -> None:
    bank, command = m[REQUESTS + i, BANK_OF], CAS_RD + m[REQUESTS + i, WRITE]
    issue(m, bank, command, tick)
    record(m, tick, command, bank, m[REQUESTS + i, ROW_OF], i)
    m[CHANNELS + channel, SYNCHRONISED] = i


def _burst_after_clock(p: SharedPolicy, m: Ints, channel: int, i: int, tick: int) -> tuple[int, bool, int]:
    allowed = earliest(m, m[REQUESTS + i, BANK_OF], RD + m[REQUESTS + i, WRITE])
    if allowed > tick:
        return -1, False, allowed
    m[CHANNELS + channel, SYNCHRONISED] = -1
    active = False
    for k in range(m[CHANNELS + channel, ACTIVE]):
        active = active or m[ACTIVE_LIST + k, channel] == i
    _burst(p, m, channel, i, active, tick)
    return i, False, FAR


def _burst(p: SharedPolicy, m: Ints, channel: int, i: int, active: bool, tick: int) -> None:
    issue_column(p, m, i, tick, active)
    runs_until = tick + (p.write_clock if m[REQUESTS + i, WRITE] else p.read_clock)
    m[CHANNELS + channel, CLOCK_UNTIL] = max(m[CHANNELS + channel, CLOCK_UNTIL], runs_until)


def _issue_second(m: Ints, channel: int, tick: int) -> None:
    i = m[CHANNELS + channel, ACTIVATING]
    bank, row = m[REQUESTS + i, BANK_OF], m[REQUESTS + i, ROW_OF]
    issue(m, bank, ACT2, tick)
    record(m, tick, ACT2, bank, row, i)
    opened(m, bank, row)
    enter_active(m, channel, i)
    m[CHANNELS + channel, ACTIVATING] = -1

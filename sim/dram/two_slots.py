"""Command buses of HBM: each tick a column command and a row command, on buses of their own.

HBM3 and HBM4 count in half clocks: all but a precharge goes out on the rising edge, the odd ticks.
"""

from sim.dram.commands import FAR
from sim.dram.shared_issue import active_column, issue_column, issue_row, queued_column, queued_row
from sim.dram.shared_queue import SharedPolicy, served_kind
from sim.dram.shared_refresh import issue_refresh, refresh_row
from sim.dram.state import CHANNELS, REFRESHES, WRITING, Ints


def issue_commands(p: SharedPolicy, m: Ints, channel: int, tick: int) -> tuple[int, bool, int]:
    """Up to two commands: (request whose burst issued or -1, a row command issued, next tick to look)."""
    if p.half_clock and tick % 2 == 0:
        row, wake = _row_slot(p, m, channel, tick)
        if not row:
            wake = min(wake, _column_wake(p, m, channel, tick))
        return -1, row, wake
    burst, wake = _column_slot(p, m, channel, tick)
    row, look = _row_slot(p, m, channel, tick)
    return burst, row, min(wake, look)


def _column_slot(p: SharedPolicy, m: Ints, channel: int, tick: int) -> tuple[int, int]:
    """Issues the burst of an active request, else of a row hit: (request or -1, next tick one may)."""
    i, wake = active_column(m, channel, tick)
    active = i >= 0
    if not active and not (m[CHANNELS + channel, REFRESHES] and p.holds_channel):
        i, look = queued_column(p, m, channel, served_kind(p, m, channel), tick)
        wake = min(wake, look)
    if i >= 0:
        issue_column(p, m, i, tick, active)
    return i, wake


def _column_wake(p: SharedPolicy, m: Ints, channel: int, tick: int) -> int:
    """On a falling edge, where no burst issues: the next tick at which one may."""
    i, wake = active_column(m, channel, tick)
    if i < 0 and not (m[CHANNELS + channel, REFRESHES] and p.holds_channel):
        i, look = queued_column(p, m, channel, m[CHANNELS + channel, WRITING], tick)
        wake = min(wake, look)
    return tick + 1 if i >= 0 else wake


def _row_slot(p: SharedPolicy, m: Ints, channel: int, tick: int) -> tuple[bool, int]:
    """Issues a row command, of the first refresh or of the oldest request: (whether, next tick it may)."""
    wake = FAR
    if m[CHANNELS + channel, REFRESHES]:
        command, wake = refresh_row(p, m, channel, tick)
        if command >= 0:
            issue_refresh(p, m, channel, command, tick)
            return True, wake
        if p.holds_channel:
            return False, wake
    i, look = queued_row(p, m, channel, served_kind(p, m, channel), tick)
    if i >= 0:
        issue_row(p, m, i, tick)
    return i >= 0, min(wake, look)

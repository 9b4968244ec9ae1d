"""One tick of a shared-queue controller: a column and a row command (HBM), or one command on a single bus."""

from sim.dram.commands import FAR
from sim.dram.shared_choice import choose_one
from sim.dram.shared_issue import active_column, issue_column, issue_row, queued_column, queued_row
from sim.dram.shared_queue import SharedPolicy, served_kind
from sim.dram.shared_refresh import issue_refresh, refresh_due, refresh_row, send_cap_precharges
from sim.dram.split_activation import split_slot
from sim.dram.state import (
    CHANNELS,
    NEXT_REFRESH,
    REFRESHES,
    WRITING,
    Ints,
)


def tick_shared(p: SharedPolicy, m: Ints, channel: int, tick: int) -> tuple[int, int]:
    """One tick of the channel: (request whose burst issued or -1, next tick at which anything can happen)."""
    changed = refresh_due(p, m, channel, tick)
    wake = m[CHANNELS + channel, NEXT_REFRESH] if p.refresh else FAR
    if p.cap:
        look = send_cap_precharges(p, m, channel, tick)
        changed = changed or look == tick
        wake = min(wake, look)
    if p.split:
        served, row, look = split_slot(p, m, channel, tick)
    elif not p.two_slots:
        served, row, look = _one_slot(p, m, channel, tick)
    elif p.half_clock and tick % 2 == 0:
        served = -1
        row, look = _row_slot(p, m, channel, tick)
        if not (changed or row):
            look = min(look, _column_wake(p, m, channel, tick))
    else:
        served, look = _column_slot(p, m, channel, tick)
        row, row_look = _row_slot(p, m, channel, tick)
        look = min(look, row_look)
    if changed or row or served >= 0:
        return served, tick + 1
    return served, min(wake, look)


def _column_slot(p: SharedPolicy, m: Ints, channel: int, tick: int) -> tuple[int, int]:
    """Issues the burst of an active request, else of a row hit: (request or -1, next tick at which one
    may)."""
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


def _one_slot(p: SharedPolicy, m: Ints, channel: int, tick: int) -> tuple[int, bool, int]:
    """One command on a single bus: (request whose burst issued or -1, another command issued, next tick)."""
    burst, active, refresh, row, wake = choose_one(p, m, channel, tick)
    if burst >= 0:
        issue_column(p, m, burst, tick, active)
    elif refresh >= 0:
        issue_refresh(p, m, channel, refresh, tick)
    elif row >= 0:
        issue_row(p, m, row, tick)
    return burst, refresh >= 0 or row >= 0, wake

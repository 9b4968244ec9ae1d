"""A single command bus (GDDR6): active requests first, then a refresh, then the oldest request."""

from sim.dram.shared_issue import active_column, issue_column, issue_row, queued_column, queued_row
from sim.dram.shared_queue import SharedPolicy, served_kind
from sim.dram.shared_refresh import issue_refresh, refresh_row
from sim.dram.state import CHANNELS, REFRESHES, Ints


def issue_commands(p: SharedPolicy, m: Ints, channel: int, tick: int) -> tuple[int, bool, int]:
    """One command on a single bus: (request whose burst issued or -1, another command issued, next tick)."""
    burst, active, refresh, row, wake = choose_one(p, m, channel, tick)
    if burst >= 0:
        issue_column(p, m, burst, tick, active)
    elif refresh >= 0:
        issue_refresh(p, m, channel, refresh, tick)
    elif row >= 0:
        issue_row(p, m, row, tick)
    return burst, refresh >= 0 or row >= 0, wake


def choose_one(p: SharedPolicy, m: Ints, channel: int, tick: int) -> tuple[int, bool, int, int, int]:
    """The command to issue now, and the next tick at which there may be one.

    Returns:
        (request to burst or -1, whether it is active, refresh command or -1, request for a row or -1, tick).
    """
    burst, wake = active_column(m, channel, tick)
    if burst >= 0:
        return burst, True, -1, -1, wake
    if m[CHANNELS + channel, REFRESHES]:
        command, look = refresh_row(p, m, channel, tick)
        wake = min(wake, look)
        if command >= 0 or p.holds_channel:
            return -1, False, command, -1, wake
    kind = served_kind(p, m, channel)
    burst, look = queued_column(p, m, channel, kind, tick)
    row, row_look = queued_row(p, m, channel, kind, tick)
    wake = min(wake, look, row_look)
    if burst >= 0 and (row < 0 or burst < row):
        return burst, False, -1, -1, wake
    return -1, False, -1, row, wake

"""The one command of a single command bus: active requests first, then a refresh, then the oldest request."""

from sim.dram.shared_issue import active_column, queued_column, queued_row
from sim.dram.shared_queue import SharedPolicy, served_kind
from sim.dram.shared_refresh import refresh_row
from sim.dram.state import (
    CHANNELS,
    REFRESHES,
    Ints,
)


def choose_one(p: SharedPolicy, m: Ints, channel: int, tick: int) -> tuple[int, bool, int, int, int]:
    """(request to burst or -1, whether it is active, refresh command or -1, request for a row or -1, next
    tick).

    At most one of the three is there; the last is the next tick at which one may be.
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

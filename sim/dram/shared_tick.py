"""One tick of a channel with shared queues: what falls due, then the commands its bus allows.

`issue_commands` is named after HBM's buses; sim.dram.compiled links the function of the device's kind of bus.
"""

from sim.dram.commands import FAR
from sim.dram.shared_queue import SharedPolicy
from sim.dram.shared_refresh import refresh_due, send_cap_precharges
from sim.dram.state import CHANNELS, NEXT_REFRESH, Ints
from sim.dram.two_slots import issue_commands


def tick_shared(p: SharedPolicy, m: Ints, channel: int, tick: int) -> tuple[int, int]:
    """(request whose burst issued or -1, next tick at which anything can happen)."""
    changed = refresh_due(p, m, channel, tick)
    wake = m[CHANNELS + channel, NEXT_REFRESH] if p.refresh else FAR
    if p.cap:
        look = send_cap_precharges(p, m, channel, tick)
        changed = changed or look == tick
        wake = min(wake, look)
    served, other, look = issue_commands(p, m, channel, tick)
    if changed or other or served >= 0:
        return served, tick + 1
    return served, min(wake, look)

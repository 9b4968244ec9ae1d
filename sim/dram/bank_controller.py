"""A per-bank-queue controller as the event loop drives it: `offer` a request, `serve` a tick of a channel."""

from sim.dram.bank_queues import BankPolicy, accept, tick_bank
from sim.dram.completion import complete
from sim.dram.state import (
    ACTS,
    ACTS_BY_THEN,
    CHANNELS,
    COUNTERS,
    DEPARTED,
    MERGED,
    REQUESTS,
    WAKE,
    WRITE,
    Ints,
)


def offer(p: BankPolicy, m: Ints, i: int, tick: int) -> bool:
    """Takes request `i` if there is room; one that is acknowledged or answered at once is completed."""
    if not accept(p, m, i, tick):
        return False
    if m[REQUESTS + i, DEPARTED]:
        complete(m, i, m[REQUESTS + i, DEPARTED])
    return True


def serve(p: BankPolicy, m: Ints, channel: int, tick: int) -> None:
    """One tick of the channel; a read is done, with those merged into it, when its last data is on the
    bus."""
    i, wake = tick_bank(p, m, channel, tick)
    m[CHANNELS + channel, WAKE] = wake
    if i < 0:
        return
    m[REQUESTS + i, ACTS_BY_THEN] = m[COUNTERS, ACTS]
    if not m[REQUESTS + i, WRITE]:
        while i >= 0:
            complete(m, i, m[REQUESTS + i, DEPARTED])
            i = m[REQUESTS + i, MERGED]

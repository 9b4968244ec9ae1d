"""A shared-queue controller as the event loop drives it: `offer` a request, `serve` a tick of a channel."""

from sim.dram.completion import complete
from sim.dram.shared_queue import SharedPolicy, accept
from sim.dram.shared_tick import tick_shared
from sim.dram.state import (
    ACTS,
    ACTS_BY_THEN,
    BANK_OF,
    CHANNELS,
    COUNTERS,
    DEPARTED,
    LAST_DONE,
    REQUESTS,
    WAKE,
    WRITE,
    Ints,
)


def offer(p: SharedPolicy, m: Ints, i: int, tick: int) -> bool:
    """Takes request `i` if there is room; one that is done at once is completed.

    The clock has yet to reach `tick`, so acceptance is stamped with the tick before. Reads are completed in
    the order they were served, so one answered from the write queue waits for those before it.
    """
    if not accept(p, m, i, tick - 1):
        return False
    if m[REQUESTS + i, DEPARTED]:
        channel = m[REQUESTS + i, BANK_OF] // p.channel_banks
        reads_done = m[CHANNELS + channel, LAST_DONE]
        complete(m, i, tick if m[REQUESTS + i, WRITE] else max(tick, reads_done))
    return True


def serve(p: SharedPolicy, m: Ints, channel: int, tick: int) -> None:
    """One tick of the channel; what it served is done when its last data is on the bus."""
    i, wake = tick_shared(p, m, channel, tick)
    m[CHANNELS + channel, WAKE] = wake
    if i >= 0:
        m[REQUESTS + i, ACTS_BY_THEN] = m[COUNTERS, ACTS]
        complete(m, i, m[REQUESTS + i, DEPARTED])
        if not m[REQUESTS + i, WRITE]:
            m[CHANNELS + channel, LAST_DONE] = m[REQUESTS + i, DEPARTED]

"""The event loop: a front end offers the stream to the controllers and time jumps to what can happen next.

At each visited tick the front end first offers what has arrived: while the queue has room, fewer than
`window` requests are in flight and no more than `offers` were taken this tick. With several channels a queue
of `fifo` requests stands in front of each; the stream fills them in order and one full queue stops it. Then
each channel with something to do has its tick, and the clock goes to the earliest wake-up.

`offer` and `serve` are named after the shared-queue controller; sim.dram.compiled links the loop with the
functions of either kind, and `policy` is that kind's.
"""

from typing import NamedTuple

from sim.dram.commands import FAR
from sim.dram.completion import next_completion, sweep
from sim.dram.shared_controller import offer, serve
from sim.dram.shared_queue import SharedPolicy
from sim.dram.state import (
    ARRIVAL,
    BANK_OF,
    CHANNEL_COUNT,
    CHANNELS,
    COMPLETED,
    COUNTERS,
    IN_FLIGHT,
    OFFERED,
    REQUESTS,
    STREAM,
    TOUCHED,
    WAITING,
    WAITING_FIRST,
    WAITING_RING,
    WAKE,
    Ints,
)


class FrontEnd(NamedTuple):
    """How requests reach the controllers.

    Attributes:
        window: most requests in flight; 0 for no bound.
        offers: most requests a channel takes in a tick.
        fifo: requests waiting in front of each channel; 0 offers the stream itself to the only channel.
        wanted: completions after which the run ends.
        start: first tick.
    """

    channel_banks: int
    window: int
    offers: int
    fifo: int
    wanted: int
    start: int


def run(front: FrontEnd, policy: SharedPolicy, m: Ints) -> int:
    """Serves the stream until `front.wanted` requests are complete; the last tick."""
    tick = front.start
    while tick < FAR:
        sweep(m, tick)
        if m[COUNTERS, COMPLETED] >= front.wanted:
            break
        wake = _offer_queues(front, policy, m, tick) if front.fifo else _offer_stream(front, policy, m, tick)
        for channel in range(m[COUNTERS, CHANNEL_COUNT]):
            if m[CHANNELS + channel, TOUCHED] or m[CHANNELS + channel, WAKE] <= tick:
                m[CHANNELS + channel, TOUCHED] = 0
                serve(policy, m, channel, tick)
            wake = min(wake, m[CHANNELS + channel, WAKE])
        if front.window and m[COUNTERS, IN_FLIGHT] >= front.window:
            wake = min(wake, next_completion(m, tick) + 1)
        tick = wake
    return tick


def _offer_stream(front: FrontEnd, policy: SharedPolicy, m: Ints, tick: int) -> int:
    """Offers the head of the stream to the only channel; the next tick to offer without a change there."""
    for _ in range(front.offers):
        i = m[COUNTERS, OFFERED]
        if i == m[COUNTERS, STREAM] or (front.window and m[COUNTERS, IN_FLIGHT] >= front.window):
            return FAR
        if m[REQUESTS + i, ARRIVAL] > tick:
            return m[REQUESTS + i, ARRIVAL]
        if not _offer(front, policy, m, i, tick):
            return FAR
        m[COUNTERS, OFFERED] += 1
    return tick + 1


def _offer_queues(front: FrontEnd, policy: SharedPolicy, m: Ints, tick: int) -> int:
    """Fills the queues in front of the channels in stream order, then offers the head of each."""
    _fill_queues(front, m, tick)
    wake = FAR
    for channel in range(m[COUNTERS, CHANNEL_COUNT]):
        for _ in range(min(front.offers, m[CHANNELS + channel, WAITING])):
            first = m[CHANNELS + channel, WAITING_FIRST]
            if not _offer(front, policy, m, m[WAITING_RING + first, channel], tick):
                break
            m[CHANNELS + channel, WAITING_FIRST] = (first + 1) % front.fifo
            m[CHANNELS + channel, WAITING] -= 1
            wake = tick + 1
    i = m[COUNTERS, OFFERED]
    if i < m[COUNTERS, STREAM] and m[REQUESTS + i, ARRIVAL] > tick:
        wake = min(wake, m[REQUESTS + i, ARRIVAL])
    return wake


def _fill_queues(front: FrontEnd, m: Ints, tick: int) -> None:
    while m[COUNTERS, OFFERED] < m[COUNTERS, STREAM]:
        i = m[COUNTERS, OFFERED]
        channel = m[REQUESTS + i, BANK_OF] // front.channel_banks
        size = m[CHANNELS + channel, WAITING]
        if size == front.fifo or m[REQUESTS + i, ARRIVAL] > tick:
            break
        m[WAITING_RING + (m[CHANNELS + channel, WAITING_FIRST] + size) % front.fifo, channel] = i
        m[CHANNELS + channel, WAITING] += 1
        m[COUNTERS, OFFERED] += 1


def _offer(front: FrontEnd, policy: SharedPolicy, m: Ints, i: int, tick: int) -> bool:
    """Offers request `i` to the controller of its channel, which then has something to do."""
    if not offer(policy, m, i, tick):
        return False
    m[CHANNELS + m[REQUESTS + i, BANK_OF] // front.channel_banks, TOUCHED] = 1
    m[COUNTERS, IN_FLIGHT] += 1
    return True

"""Links that carry one transfer after another, as copies on a stream or requests of a queue do.

    start  = max(now, when each link on the way is free)
    end    = start + latency + bytes / slowest rate on the way
    a link is free again at start + bytes / its own rate

So no link carries more than its rate, whatever shares it, and the end of a transfer is known when it is asked
for.
"""

from collections.abc import Sequence


class Channel:
    """One direction of a link; times in s, `rate` in B/s.

    Attributes:
        free: when what was asked of it so far is through; moved: bytes.
    """

    __slots__ = ("free", "moved", "rate")

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.free = 0.0
        self.moved = 0.0


def transfer(way: Sequence[Channel], size: float, now: float, latency: float) -> float:
    """Send `size` bytes over all links of the way; returns when they are there."""
    start = max(now, *(channel.free for channel in way))
    for channel in way:
        channel.free = start + size / channel.rate
        channel.moved += size
    return start + latency + size / min(channel.rate for channel in way)

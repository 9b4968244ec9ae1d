"""Decodes whose generated tokens are content that others may ask for: the blocks they fill are registered.

A block is registered in the call whose known tokens fill it. A token that a call computes is known at that
call with synchronous scheduling, one call later with asynchronous scheduling: registration lags by `lag`
tokens. A member fills a block every `block_size` ticks, always at the same tick modulo `block_size`.
"""

from sim.serving.book import RequestBook
from sim.serving.kv_cache import KvCache


class OpenDecodes:
    """The open members of a scheduler's decode set, by the phase at which they fill a block.

    Attributes:
        count: members; lag: tokens by which registration lags behind computation.
    """

    __slots__ = ("book", "cache", "count", "lag", "phases", "size")

    def __init__(self, book: RequestBook, cache: KvCache, lag: int) -> None:
        self.book = book
        self.cache = cache
        self.size = cache.block_size
        self.lag = lag
        self.count = 0
        self.phases: list[dict[int, None]] = [{} for _ in range(self.size)]

    def join(self, request: int) -> None:
        """The request decodes from the next call on."""
        self.phases[self._phase(request)][request] = None
        self.count += 1

    def quit(self, request: int) -> None:
        """The request no longer decodes; nothing happens if it is no member."""
        members = self.phases[self._phase(request)]
        if request in members:
            del members[request]
            self.count -= 1

    def fill(self, tick: int, ticks: int) -> None:
        """Register what the members fill in the `ticks` calls from `tick` on, in the order of the calls."""
        book = self.book
        for t in range(tick, tick + ticks):
            members = self.phases[t % self.size]
            for request in sorted(members, key=book.order.__getitem__):
                table = book.table[request]
                assert table is not None
                self.cache.register(table, (t + book.offset[request] + 1 - self.lag) // self.size)

    def ticks_before_fill(self, tick: int) -> int:
        """How many calls from `tick` on register nothing; there must be members."""
        return next(ahead for ahead in range(self.size) if self.phases[(tick + ahead) % self.size])

    def _phase(self, request: int) -> int:
        return (self.lag - 1 - self.book.offset[request]) % self.size

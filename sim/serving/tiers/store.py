"""What one tier holds: content by blocks, the least recently used out first.

It is a block pool without tables (sim.serving.kv_cache): whatever is written or read becomes the most
recently used, a prefix's first blocks after its last ones, so that prefixes shrink from their end. A block is
found from the time on at which its transfer has ended.

    written = held + dropped     (blocks, at any time)
"""

from collections.abc import Callable
from heapq import heappop, heappush

from sim.serving.kv_cache import KvCache, Node, Path, Table
from sim.serving.tiers.channel import Channel
from sim.serving.tiers.config import TierConfig


class TierStore:
    """One tier.

    Attributes:
        reading, writing: its own bandwidth, per direction.
        loaded, written, dropped: blocks that were read from it, put into it, and overwritten.
        on_drop: called with (path, lo, hi) of content that it lets go of.
    """

    __slots__ = (
        "_asked", "_under_way", "cache", "config", "dropped", "loaded", "on_drop", "reading", "writing",
        "written",
    )  # fmt: skip

    def __init__(self, config: TierConfig, block_size: int) -> None:
        self.config = config
        self.cache = KvCache(config.blocks, block_size)
        self.cache.on_evict = self._drop
        self.reading = Channel(config.read)
        self.writing = Channel(config.write)
        self.loaded = self.written = self.dropped = 0
        self.on_drop: Callable[[Path, int, int], None] | None = None
        self._under_way: list[tuple[float, int, Path, int, int]] = []
        self._asked = 0

    @property
    def held(self) -> int:
        """Blocks with content."""
        return self.cache.size - self.cache.blank

    def reach(self, path: Path, first: int, limit: int, now: float) -> int:
        """Up to which block it holds the path without a gap from block `first` on; `first` if it does not."""
        self.arrive(now)
        hit = self.cache.look_up(path, limit, first)
        return max(first, hit.blocks)

    def expect(self, path: Path, first: int, last: int, time: float) -> None:
        """Blocks are under way, and here at `time`."""
        self._asked += 1
        heappush(self._under_way, (time, self._asked, path, first, last))

    def use(self, path: Path, first: int, last: int) -> None:
        """Blocks that it holds are the most recently used now."""
        self._put(path, first, last)

    def arrive(self, now: float) -> None:
        """What has come by now is here."""
        while self._under_way and self._under_way[0][0] <= now:
            _, _, path, first, last = heappop(self._under_way)
            self._put(path, first, last)

    def _put(self, path: Path, first: int, last: int) -> None:
        """Hold these blocks, as far as there is room; what is held of them already is only used."""
        cache, table = self.cache, Table(path)
        table.blocks = first
        hit = cache.look_up(path, last, first)
        if hit.blocks > first:
            cache.acquire(table, hit)
        new = min(last - table.blocks, cache.free)
        if new:
            self.written += new
            cache.take(new)
            cache.register(table, table.blocks + new)
        cache.release(table, table.blocks)

    def _drop(self, node: Node, lo: int, hi: int) -> None:
        self.dropped += hi - lo
        if self.on_drop is not None:
            self.on_drop(node.path(), lo, hi)

"""The tiers below one scheduler's KV cache: what they hold of a prompt, loading it, and writing to them.

    dram, nvme   share the host link of the rank's chips, one channel per direction
    pool         a network link of its own

A write-through tier gets blocks when they are full: those of a prompt with the step that computes them, those
of an answer when it ends or is preempted. A write-back tier gets what the tier above lets go of. Blocks of
the chips stay until they have been written. What is loaded from a lower tier passes through host memory and
is held there too.
"""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Protocol

from sim.serving.kv_cache import Node, Path
from sim.serving.tiers.channel import Channel, transfer
from sim.serving.tiers.config import TiersConfig
from sim.serving.tiers.store import TierStore


class Timeline(Protocol):
    """The engine, as far as its scheduler's tiers know it."""

    now: float

    def expect(self, time: float, action: Callable[[], None]) -> None:
        """Do something at a time."""
        ...


class LowerTiers:
    """The tiers of one rank.

    Attributes:
        layerwise: load while a prompt is computed.
        stores: fastest first.
    """

    __slots__ = (
        "_block", "_engine", "_in", "_offered", "_out", "_time", "_written", "layerwise", "stores",
    )  # fmt: skip

    def __init__(self, config: TiersConfig, stores: list[TierStore], engine: Timeline) -> None:
        self.layerwise = config.layerwise
        self.stores = stores
        self._block = config.block_bytes
        self._engine = engine
        links = {tier.shared: tier.link for tier in config.tiers}
        self._in = {shared: Channel(rate) for shared, rate in links.items()}
        self._out = {shared: Channel(rate) for shared, rate in links.items()}
        self._offered: dict[int, int] = {}
        self._written: dict[int, float] = {}
        self._time = 0.0
        for above, below in pairwise(stores):
            if below.config.write_back:
                above.on_drop = partial(self._demote, below)

    def expect(self, time: float, action: Callable[[], None]) -> None:
        """Do something at a time."""
        self._engine.expect(time, action)

    # -- reading ------------------------------------------------------------------------------------------

    def reach(self, path: Path, first: int, limit: int) -> int:
        """Up to which block the tiers together hold the path without a gap from block `first` on."""
        return sum((last - start for _, start, last in self._stretches(path, first, limit)), first)

    def load(self, request: int, path: Path, first: int, last: int) -> float:
        """Read blocks that they hold; returns when they are in the chips' memory."""
        now = ready = self._time = self._engine.now
        for place, start, stop in self._stretches(path, first, last):
            store = self.stores[place]
            config = store.config
            way = (store.reading, self._in[config.shared])
            there = transfer(way, (stop - start) * self._block, now, config.latency)
            store.loaded += stop - start
            store.use(path, start, stop)
            for above in self.stores[:place]:
                above.expect(path, start, stop, there)
            ready = max(ready, there)
        self._offered[request] = last
        return ready

    def hit(self, request: int, path: Path, blocks: int) -> None:
        """The chips' memory has the request's first blocks: as new in the tiers too."""
        self._offered[request] = blocks
        for store in self.stores:
            held = store.reach(path, 0, blocks, self._engine.now)
            if held:
                store.use(path, 0, held)

    def _stretches(self, path: Path, first: int, limit: int) -> list[tuple[int, int, int]]:
        """(tier, from, to): each block from the fastest tier that has it."""
        found: list[tuple[int, int, int]] = []
        now, block = self._engine.now, first
        while block < limit:
            for place, store in enumerate(self.stores):
                stop = store.reach(path, block, limit, now)
                if stop > block:
                    found.append((place, block, stop))
                    block = stop
                    break
            else:
                break
        return found

    # -- writing ------------------------------------------------------------------------------------------

    def offer(self, request: int, path: Path, full: int) -> None:
        """The first `full` blocks of a request are full: write through those that were not offered yet."""
        first = self._offered.get(request, 0)
        if full <= first:
            return
        self._offered[request] = full
        now = self._time = self._engine.now
        for store in self.stores:
            if not store.config.write_back:
                written = self._write(store, path, first, full, now)
                self._written[request] = max(written, self._written.get(request, 0.0))

    def let_go(self, request: int, free: Callable[[], None]) -> None:
        """A request has ended: call `free` when all its blocks have been written."""
        self._offered.pop(request, None)
        written = self._written.pop(request, 0.0)
        if written > self._engine.now:
            self._engine.expect(written, free)
        else:
            free()

    def evicted(self, node: Node, lo: int, hi: int) -> None:
        """The chips overwrite blocks."""
        if self.stores[0].config.write_back:
            self._write(self.stores[0], node.path(), lo, hi, self._time)

    def _write(self, store: TierStore, path: Path, first: int, last: int, now: float) -> float:
        """Send blocks from the chips to a tier that does not have them; returns when they are there."""
        first = store.reach(path, first, last, now)
        if first == last:
            return now
        way = (store.writing, self._out[store.config.shared])
        return self._send(store, way, path, first, last, now)

    def _demote(self, store: TierStore, path: Path, first: int, last: int) -> None:
        """Send blocks of the tier above, which is of the same server, to a tier that does not have them."""
        first = store.reach(path, first, last, self._time)
        if first < last:
            way = (store.writing, self._out[True]) if store.config.shared else (store.writing,)
            self._send(store, way, path, first, last, self._time)

    def _send(
        self,
        store: TierStore,
        way: tuple[Channel, ...],
        path: Path,
        first: int,
        last: int,
        now: float,
    ) -> float:
        there = transfer(way, (last - first) * self._block, now, store.config.latency)
        store.expect(path, first, last, there)
        return there

"""What the replicas' KV caches hold, as a router knows it from events: blocks stored and blocks overwritten.

    an event of time t is known at the first report at or after t;  report k is of time k·staleness

Engines publish such events (vLLM's KV events, NVIDIA Dynamo's indexer takes them up). Between two reports a
router may count on blocks that are gone, and miss blocks that are there. Content is a tree as in
sim.serving.kv_cache; a replica's ranks count as one. Events within a leap are of the leap's start.
"""

from collections import deque
from collections.abc import Callable
from functools import partial

from sim.serving.engine import Engine
from sim.serving.kv_cache import Node, Path
from sim.serving.lockstep import ranks_of

_Key = tuple[int, int]
_Listener = Callable[[Node, int, int], None]


class _Known:
    """A piece of content on one replica: the stretches of blocks that are known to be held."""

    __slots__ = ("children", "stretches")

    def __init__(self) -> None:
        self.children: dict[_Key, _Known] = {}
        self.stretches: list[tuple[int, int]] = []

    def change(self, lo: int, hi: int, stored: bool) -> None:
        """Blocks lo…hi come, or one copy of them goes."""
        if stored:
            if self.stretches and self.stretches[-1][1] == lo:
                self.stretches[-1] = (self.stretches[-1][0], hi)
            else:
                self.stretches.append((lo, hi))
            return
        for place, (first, last) in enumerate(self.stretches):
            start, stop = max(first, lo), min(last, hi)
            if start >= stop:
                continue
            left = [(a, b) for a, b in ((first, start), (stop, last)) if a < b]
            self.stretches[place : place + 1] = left
            for rest in ((lo, start), (stop, hi)):
                if rest[0] < rest[1]:
                    self.change(*rest, stored=False)
            return

    def reach(self, block: int, last: int) -> int:
        """Up to which block it is held without a gap from `block` on."""
        while block < last:
            covering = [hi for lo, hi in self.stretches if lo <= block < hi]
            if not covering:
                break
            block = min(max(covering), last)
        return block


class KvEvents:
    """The caches of a fleet's replicas as far as they were reported."""

    def __init__(self, replicas: int, block_size: int, staleness: float) -> None:
        self._roots = [_Known() for _ in range(replicas)]
        self._size = block_size
        self._staleness = staleness
        self._unreported: deque[tuple[float, int, tuple[_Key, ...], int, int, bool]] = deque()

    def watch(self, replica: int, engine: Engine) -> None:
        """Takes an engine's events up; what was known of the replica is forgotten."""
        self.forget(replica)
        for rank in ranks_of(engine.scheduler):
            cache = rank.cache
            cache.on_store = partial(self._event, replica, engine, stored=True)
            cache.on_evict = _both(cache.on_evict, partial(self._event, replica, engine, stored=False))

    def forget(self, replica: int) -> None:
        """A replica's caches are lost."""
        self._roots[replica] = _Known()
        self._unreported = deque(event for event in self._unreported if event[1] != replica)

    def report(self, now: float) -> None:
        """Bring what is known to the last report before `now`."""
        last = now // self._staleness * self._staleness if self._staleness else now
        while self._unreported and self._unreported[0][0] <= last:
            _, replica, keys, lo, hi, stored = self._unreported.popleft()
            known = self._roots[replica]
            for key in keys:
                known = known.children.setdefault(key, _Known())
            known.change(lo, hi, stored)

    def overlap(self, path: Path, tokens: int) -> list[int]:
        """Tokens at the beginning of a prompt of so many that each replica is known to hold."""
        limit = (tokens - 1) // self._size
        return [self._reach(root, path, limit) * self._size for root in self._roots]

    def _reach(self, root: _Known, path: Path, limit: int) -> int:
        block, known = 0, root
        for key, end in zip(path.keys, path.ends, strict=True):
            piece = known.children.get(key)
            if piece is None:
                break
            known, last = piece, min(end // self._size, limit)
            block = known.reach(block, last)
            if block < last or block >= limit:
                break
        return block

    def _event(self, replica: int, engine: Engine, node: Node, lo: int, hi: int, *, stored: bool) -> None:
        event = (engine.now, replica, node.keys(), lo, hi, stored)
        self._unreported.append(event)


def _both(one: _Listener | None, other: _Listener) -> _Listener:
    """Both are told, `one` if there is any."""
    if one is None:
        return other

    def tell(node: Node, lo: int, hi: int) -> None:
        one(node, lo, hi)
        other(node, lo, hi)

    return tell

"""Paged KV blocks as extents: what vLLM's block pool decides, without a block object.

A fresh block has no identity, so only two things decide every later step: how many blocks are free,
and which contents the free ones still hold, in the order in which they will be overwritten. Hence:

- `blank` counts free blocks without content; they are always used first.
- `idle` queues free blocks with content, least recently used first, as runs. A run is a stretch of
  consecutive blocks of one piece of content that were freed together; its deepest block is overwritten
  first, so eviction trims a run's end.
- content is a tree: a node is a piece (segment) that begins after a given number of tokens of its parent
  piece. A block belongs to the node that its last token lies in.

Semantics: vLLM 0.32, `v1/core/kv_cache_manager.py` and `block_pool.py`: no de-duplication, a look-up
returns the copy registered first, frees walk a table from its last block to its first.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

_ENDLESS = 1 << 62


class Node:
    """A piece of content at its place in the tree, with the runs of blocks that hold it,
    in the order of their registration."""

    __slots__ = ("children", "key", "parent", "runs")

    def __init__(self, parent: "Node | None", key: tuple[int, int]) -> None:
        self.parent = parent
        self.key = key
        self.children: dict[tuple[int, int], Node] = {}
        self.runs: list[Run] = []

    def keys(self) -> tuple[tuple[int, int], ...]:
        """The way to it from the root."""
        keys: list[tuple[int, int]] = []
        node = self
        while node.parent is not None:
            keys.append(node.key)
            node = node.parent
        return tuple(reversed(keys))

    def path(self) -> "Path":
        """The content down to this piece, which is taken to be endless."""
        keys = self.keys()
        pieces = [(segment, after) for (_, segment), (after, _) in pairwise(keys)]
        return Path(pieces, keys[-1][1])


class Run:
    """Blocks lo ≤ i < hi of a node's content in one copy; `tables` hold it, none when it is idle.
    Without a node the content can never be asked for again."""

    __slots__ = ("hi", "lo", "node", "tables")

    def __init__(self, node: Node | None, lo: int, hi: int) -> None:
        self.node = node
        self.lo = lo
        self.hi = hi
        self.tables: set[Table] = set()


class Path:
    """What a sequence consists of: pieces (segment, length), the last one endless (generated tokens)."""

    __slots__ = ("ends", "keys")

    def __init__(self, pieces: Sequence[tuple[int, int]], output_segment: int) -> None:
        keys: list[tuple[int, int]] = []
        ends: list[int] = []
        length, end = 0, 0
        for segment, n in pieces:
            keys.append((length, segment))
            end += n
            ends.append(end)
            length = n
        keys.append((length, output_segment))
        ends.append(_ENDLESS)
        self.keys = keys
        self.ends = ends


class Table:
    """The registered part of one sequence's block table: runs by depth, `blocks` in all."""

    __slots__ = ("blocks", "nodes", "path", "runs")

    def __init__(self, path: Path) -> None:
        self.path = path
        self.blocks = 0
        self.runs: list[Run] = []
        self.nodes: list[Node] = []


@dataclass(frozen=True, slots=True)
class Hit:
    """A look-up's answer: stretches (run, lo, hi), blocks in all, and how many of them are idle."""

    stretches: list[tuple[Run, int, int]] = field(default_factory=list)
    blocks: int = 0
    idle: int = 0


MISS = Hit()


class KvCache:
    """The block pool of one scheduler.

    Attributes:
        size: blocks; free: blocks that can be taken, idle ones included; distinct: different registered
            block contents (of tables; private content is not counted).
        on_evict: called with (node, lo, hi) before blocks of content that can be asked for are overwritten;
            on_store: likewise when they are registered.
    """

    __slots__ = ("blank", "block_size", "distinct", "free", "idle", "on_evict", "on_store", "root", "size")

    def __init__(self, blocks: int, block_size: int) -> None:
        self.size = blocks
        self.block_size = block_size
        self.free = blocks
        self.blank = blocks
        self.idle: deque[Run] = deque()
        self.root = Node(None, (0, 0))
        self.distinct = 0
        self.on_evict: Callable[[Node, int, int], None] | None = None
        self.on_store: Callable[[Node, int, int], None] | None = None

    def take(self, count: int) -> None:
        """Take `count` ≤ free blocks: blank ones first, then the least recently used content's."""
        self.free -= count
        if count <= self.blank:
            self.blank -= count
            return
        count -= self.blank
        self.blank = 0
        idle = self.idle
        while count:
            run = idle[0]
            size = run.hi - run.lo
            if size > count:
                self._forget(run, run.hi - count)
                return
            idle.popleft()
            count -= size
            if size:
                self._forget(run, run.lo)

    def give_back_private(self, blocks: int, full: int) -> None:
        """Free a sequence whose content nobody can ask for: `full` of its `blocks` had been registered."""
        self.free += blocks
        self.blank += blocks - full
        if full:
            idle = self.idle
            if idle and idle[-1].node is None:
                idle[-1].hi += full
            else:
                idle.append(Run(None, 0, full))

    def look_up(self, path: Path, limit: int, first: int = 0) -> Hit:
        """What is registered of `path` without a gap from block `first` on, up to block `limit`; changes
        nothing."""
        node: Node | None = self.root
        stretches: list[tuple[Run, int, int]] = []
        block, idle, size = first, 0, self.block_size
        for key, end in zip(path.keys, path.ends, strict=True):
            node = node.children.get(key)
            if node is None:
                break
            last = min(end // size, limit)
            while block < last:
                found = _covering(node, block, last)
                if found is None:
                    return Hit(stretches, block, idle) if stretches else MISS
                run, stop = found
                stretches.append((run, block, stop))
                if not run.tables:
                    idle += stop - block
                block = stop
            if block >= limit:
                break
        return Hit(stretches, block, idle) if stretches else MISS

    def acquire(self, table: Table, hit: Hit) -> None:
        """Give the blocks of a hit to `table`, which must be empty."""
        for found, lo, hi in hit.stretches:
            run = found
            if not run.lo <= lo < run.hi:  # an earlier stretch of the same run has cut it
                run = _first_holding(run, lo, hi)
            held = self._cut(run, lo, hi)
            held.tables.add(table)
            table.runs.append(held)
        table.blocks = hit.blocks
        self.free -= hit.idle

    def register(self, table: Table, blocks: int) -> None:
        """Register the table's blocks up to `blocks`, which its tokens now fill."""
        block, size, path = table.blocks, self.block_size, table.path
        while block < blocks:
            piece = bisect_right(path.ends, (block + 1) * size - 1)
            stop = min(blocks, path.ends[piece] // size)
            self._extend(table, self._node(table, piece), block, stop)
            block = stop
        table.blocks = max(blocks, table.blocks)

    def release(self, table: Table, blocks: int) -> None:
        """Free a table of `blocks` blocks, from its last block to its first."""
        unregistered = blocks - table.blocks
        self.blank += unregistered
        self.free += unregistered
        for run in reversed(table.runs):
            run.tables.remove(table)
            if not run.tables:
                self.idle.append(run)
                self.free += run.hi - run.lo
        table.runs.clear()
        table.nodes.clear()
        table.blocks = 0

    def _node(self, table: Table, piece: int) -> Node:
        nodes = table.nodes
        if not nodes:
            nodes.append(self.root)
        while len(nodes) <= piece + 1:
            parent, key = nodes[-1], table.path.keys[len(nodes) - 1]
            node = parent.children.get(key)
            if node is None:
                node = parent.children[key] = Node(parent, key)
            nodes.append(node)
        return nodes[piece + 1]

    def _extend(self, table: Table, node: Node, lo: int, hi: int) -> None:
        """Register blocks lo…hi of a node for a table, in the table's last run where that keeps the order
        of registration of every block."""
        self.distinct += hi - lo - _overlap(node, lo, hi, None)
        if self.on_store is not None:
            self.on_store(node, lo, hi)
        run = table.runs[-1] if table.runs else None
        if (
            run is not None
            and run.node is node
            and run.hi == lo
            and len(run.tables) == 1
            and all(other.hi <= lo for other in node.runs)
        ):
            run.hi = hi
            return
        run = Run(node, lo, hi)
        run.tables.add(table)
        node.runs.append(run)
        table.runs.append(run)

    def _cut(self, run: Run, lo: int, hi: int) -> Run:
        """The run of exactly lo…hi, taken out of `run`; the rest keeps its place, order and holders."""
        if run.tables:
            if lo > run.lo:
                run = _split(run, lo)
            if hi < run.hi:
                _split(run, hi)
            return run
        taken = Run(run.node, lo, hi)
        assert run.node is not None
        run.node.runs.insert(run.node.runs.index(run), taken)
        if lo > run.lo:
            shallow = Run(run.node, run.lo, lo)
            run.node.runs.insert(run.node.runs.index(run), shallow)
            self.idle.insert(self.idle.index(run) + 1, shallow)
        run.lo = hi
        if run.lo == run.hi:
            run.node.runs.remove(run)
        return taken

    def _forget(self, run: Run, hi: int) -> None:
        """Overwrite the content of a run's blocks from `hi` on."""
        node = run.node
        if node is None:
            run.hi = hi
            return
        if self.on_evict is not None:
            self.on_evict(node, hi, run.hi)
        self.distinct -= run.hi - hi - _overlap(node, hi, run.hi, run)
        run.hi = hi
        if hi > run.lo:
            return
        node.runs.remove(run)
        while not node.runs and not node.children and node.parent is not None:
            del node.parent.children[node.key]
            node = node.parent


def _covering(node: Node, block: int, last: int) -> tuple[Run, int] | None:
    """The first-registered run that holds `block`, and up to which block it stays the first."""
    for index, run in enumerate(node.runs):
        if run.lo <= block < run.hi:
            stop = min(run.hi, last)
            for earlier in node.runs[:index]:
                if block < earlier.lo < stop:
                    stop = earlier.lo
            return run, stop
    return None


def _first_holding(run: Run, lo: int, hi: int) -> Run:
    assert run.node is not None
    found = _covering(run.node, lo, hi)
    assert found is not None
    return found[0]


def _overlap(node: Node, lo: int, hi: int, apart: Run | None) -> int:
    """How many of blocks lo…hi are held by a run of the node other than `apart`."""
    if not node.runs or (len(node.runs) == 1 and node.runs[0] is apart):
        return 0
    others = [run for run in node.runs if run is not apart and run.lo < hi and run.hi > lo]
    return sum(any(run.lo <= block < run.hi for run in others) for block in range(lo, hi)) if others else 0


def _split(run: Run, at: int) -> Run:
    """Cut a held run in two at block `at`; the deeper part, which is returned, follows it everywhere."""
    deep = Run(run.node, at, run.hi)
    run.hi = at
    assert run.node is not None
    run.node.runs.insert(run.node.runs.index(run) + 1, deep)
    for table in run.tables:
        deep.tables.add(table)
        table.runs.insert(table.runs.index(run) + 1, deep)
    return deep

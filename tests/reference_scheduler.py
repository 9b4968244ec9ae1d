"""A slow, plain reading of the scheduling rules of `conformance/README.md`, sections 3 and 4.

It shares no code and no idea with `sim.serving`: every block is an object with a reference count, the free
list is an ordered list of blocks, the prefix-cache map holds every copy of a hash in the order of
registration, and each `schedule()` call loops over requests one by one. So that two independent readings of
the same rules can be compared on cases that nobody recorded.

`run(config, requests)` takes a trace's `config` and the rows of its table `requests`, and returns the rows of
`steps` and `results` and the `end_reason` in the format of section 2. All times are integer nanoseconds.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Config: TypeAlias = Mapping[str, Any]
Row: TypeAlias = dict[str, Any]

RUNNING, NEW, RESUMED = 0, 1, 2


@dataclass(eq=False, slots=True)
class Block:
    """One KV block; `hash` is set while its content can be found through the prefix cache."""

    id: int
    references: int = 0
    hash: int | None = None


@dataclass(eq=False, slots=True)
class Request:
    """One request: its known tokens (N = len(tokens)), computed tokens (C) and block table."""

    id: int
    arrival: int
    priority: int
    max_tokens: int
    out_seg: int
    tokens: list[tuple[int, int]]
    prompt: int
    computed: int = 0
    placeholders: int = 0  # batches in flight that will give it a token and that it was not preempted from
    in_flight: int = 0  # tokens in flight, those from before a preemption included
    outputs: int = 0
    table: list[Block] = field(default_factory=list["Block"])
    registered: int = 0  # leading blocks of the table that are in the map, or came from it
    hashes: list[int] = field(default_factory=list[int])
    status: str = "not_arrived"
    first_sched: int | None = None
    first_token: int | None = None
    finish: int | None = None
    preemptions: int = 0
    cached: list[int] = field(default_factory=list[int])  # hit length of each admission


@dataclass(eq=False, slots=True)
class Entry:
    """One request's part of one step."""

    request: Request
    n: int
    before: int
    kind: int
    gives_token: bool = False


@dataclass(eq=False, slots=True)
class Batch:
    """What one `schedule()` call decided, and when it executes."""

    entries: list[Entry]
    preempted: list[Request]
    end: int = 0


class BlockPool:
    """Blocks, free list and prefix-cache map (4.3)."""

    def __init__(self, num_gpu_blocks: int, caching: bool) -> None:
        self.caching = caching
        blocks = [Block(i) for i in range(1, num_gpu_blocks)]
        self.free: OrderedDict[Block, None] = OrderedDict.fromkeys(blocks)
        self.copies: dict[int, dict[Block, None]] = {}
        self.chain: dict[tuple[int, tuple[tuple[int, int], ...]], int] = {}

    def hash_of(self, parent: int, content: tuple[tuple[int, int], ...]) -> int:
        """A number for (hash of the block before, tokens): equal exactly where both agree."""
        return self.chain.setdefault((parent, content), len(self.chain) + 1)

    def lookup(self, hashes: list[int]) -> list[Block]:
        """The longest run of leading blocks that the map holds, the first registered copy of each."""
        hit: list[Block] = []
        for value in hashes if self.caching else []:
            if value not in self.copies:
                break
            hit.append(next(iter(self.copies[value])))
        return hit

    def take_hit(self, block: Block) -> None:
        if block.references == 0:
            del self.free[block]
        block.references += 1

    def take_fresh(self) -> Block:
        block, _ = self.free.popitem(last=False)
        if block.hash is not None:
            del self.copies[block.hash][block]
            if not self.copies[block.hash]:
                del self.copies[block.hash]
            block.hash = None
        block.references = 1
        return block

    def register(self, block: Block, value: int) -> None:
        block.hash = value
        self.copies.setdefault(value, {})[block] = None

    def release(self, table: list[Block]) -> None:
        """Deepest block first; those without a hash go as a group to the head, the others to the tail."""
        unhashed: list[Block] = []
        for block in reversed(table):
            block.references -= 1
            if block.references:
                continue
            if block.hash is None:
                unhashed.append(block)
            else:
                self.free[block] = None
        for block in reversed(unhashed):
            self.free[block] = None
            self.free.move_to_end(block, last=False)


class ReferenceScheduler:
    """`schedule()` and the delivery of its results (4.1 to 4.7)."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.block_size: int = config["block_size"]
        self.max_model_len: int = config["max_model_len"]
        self.by_priority = config["policy"] == "priority"
        self.asynchronous: bool = config["async_scheduling"]
        self.pool = BlockPool(config["num_gpu_blocks"], config["enable_prefix_caching"])
        self.running: list[Request] = []
        self.waiting: list[Request] = []  # in queue order
        self.index = 0  # how far the running pass has come
        self.budget = 0
        self.cap: int | None = None

    # ---- the waiting queue

    def enqueue(self, request: Request) -> None:
        request.status = "unfinished"
        self.waiting.append(request)
        self._order_waiting()

    def _order_waiting(self) -> None:
        if self.by_priority:
            self.waiting.sort(key=lambda r: (r.priority, r.arrival, r.id))

    # ---- one call

    def schedule(self) -> Batch:
        limit = self.config["max_num_scheduled_tokens"] or self.config["max_num_batched_tokens"]
        self.budget = min(self.config["max_num_batched_tokens"], limit)
        self.cap = self._long_prefill_cap()
        batch = Batch([], [])
        self._schedule_running(batch)
        if not batch.preempted:
            self._admit(batch)
        for entry in batch.entries:
            self._advance(entry)
        return batch

    def _long_prefill_cap(self) -> int | None:
        threshold: int = self.config["long_prefill_token_threshold"]
        present = len(self.running) + len(self.waiting)
        if threshold == 0 or present <= 1:
            return None
        if self.config["long_prefill_token_threshold_adaptive"]:
            return max(threshold, self.config["max_num_batched_tokens"] // present)
        return threshold

    def _capped(self, n: int) -> int:
        return n if self.cap is None else min(n, self.cap)

    def _schedule_running(self, batch: Batch) -> None:
        self.index = 0
        while self.index < len(self.running) and self.budget > 0:
            request = self.running[self.index]
            n = self._tokens_to_run(request)
            if n > 0:
                if not self._make_room(request, n, batch):
                    return
                self._grow_table(request, request.computed + n)
                batch.entries.append(Entry(request, n, request.computed, RUNNING))
                self.budget -= n
            self.index += 1

    def _tokens_to_run(self, request: Request) -> int:
        p = request.placeholders
        if p > 0 and request.computed + 2 - p >= request.prompt + request.max_tokens:
            return 0
        n = self._capped(len(request.tokens) + p - request.computed)
        return min(n, self.budget, self.max_model_len - request.computed - 1)

    def _make_room(self, request: Request, n: int, batch: Batch) -> bool:
        """Preempt until the request's table can cover n more tokens; False if it had to go itself."""
        while self._blocks_for(request.computed + n) - len(request.table) > len(self.pool.free):
            victim = self.running[-1]
            if self.by_priority:
                victim = max(self.running, key=lambda r: (r.priority, r.arrival))  # the first of equals
            self._preempt(victim, batch)
            if victim is request:
                return False
        return True

    def _preempt(self, victim: Request, batch: Batch) -> None:
        self.running.remove(victim)
        for entry in [e for e in batch.entries if e.request is victim]:
            batch.entries.remove(entry)
            self.budget += entry.n
            # vLLM steps back only for a victim that was scheduled: one that was skipped (its last token is in
            # flight) leaves a gap, and the request after the needy one is not looked at in this call.
            self.index -= 1
        self._free_table(victim)
        victim.computed = victim.placeholders = 0
        victim.preemptions += 1
        self.waiting.insert(0, victim)
        self._order_waiting()
        batch.preempted.append(victim)

    def _admit(self, batch: Batch) -> None:
        seats = self.config["max_num_active_seqs"] or self.config["max_num_seqs"]
        while self.budget > 0 and len(self.running) < seats:
            request = next((r for r in self.waiting if r.in_flight == 0), None)
            if request is None:
                return
            hit = self.pool.lookup(self._hashes(request, (len(request.tokens) - 1) // self.block_size))
            before = len(hit) * self.block_size
            n = self._capped(len(request.tokens) - before)
            if not self.config["enable_chunked_prefill"] and n > self.budget:
                return
            n = min(n, self.budget)
            if not self._admissible(request, hit, before + n):
                return
            self.waiting.remove(request)
            self.running.append(request)
            for block in hit:
                self.pool.take_hit(block)
            request.table = list(hit)
            request.registered = len(hit)
            request.computed = before
            request.cached.append(before)
            self._grow_table(request, before + n)
            kind = RESUMED if len(request.cached) > 1 else NEW
            batch.entries.append(Entry(request, n, before, kind))
            self.budget -= n

    def _admissible(self, request: Request, hit: list[Block], covered: int) -> bool:
        """The memory check of 4.2."""
        idle = sum(block.references == 0 for block in hit)
        watermark = int(self.config["watermark"] * self.config["num_gpu_blocks"]) if self.running else 0
        free = len(self.pool.free)
        whole = min(len(request.tokens), self.max_model_len)
        if (
            self.config["scheduler_reserve_full_isl"]
            and self._blocks_for(whole) - len(hit) + idle + watermark > free
        ):
            return False
        return self._blocks_for(covered) - len(hit) + idle + watermark <= free

    def _advance(self, entry: Entry) -> None:
        request = entry.request
        request.computed += entry.n
        if request.computed >= len(request.tokens) + request.placeholders:
            entry.gives_token = True
            request.in_flight += 1
            if self.asynchronous:
                request.placeholders += 1

    # ---- tables and hashes

    def _blocks_for(self, tokens: int) -> int:
        return -(-tokens // self.block_size)

    def _grow_table(self, request: Request, covered: int) -> None:
        """Make the table cover so many tokens and register what known tokens fill of it."""
        while len(request.table) < self._blocks_for(covered):
            request.table.append(self.pool.take_fresh())
        self._register(request, min(covered, len(request.tokens)))

    def _register(self, request: Request, covered: int) -> None:
        if not self.pool.caching:
            return
        full = covered // self.block_size
        hashes = self._hashes(request, full)
        for i in range(request.registered, full):
            self.pool.register(request.table[i], hashes[i])
        request.registered = max(request.registered, full)

    def _hashes(self, request: Request, blocks: int) -> list[int]:
        """Hashes of the request's first so many blocks, all of them filled by known tokens."""
        size = self.block_size
        for i in range(len(request.hashes), blocks):
            content = tuple(request.tokens[i * size : (i + 1) * size])
            assert len(content) == size
            request.hashes.append(self.pool.hash_of(request.hashes[-1] if i else 0, content))
        return request.hashes[:blocks]

    def _free_table(self, request: Request) -> None:
        self.pool.release(request.table)
        request.table = []
        request.registered = 0

    # ---- after the step

    def deliver(self, batch: Batch, now: int) -> None:
        for entry in batch.entries:
            if entry.gives_token:
                self._deliver_token(entry.request, now)

    def _deliver_token(self, request: Request, now: int) -> None:
        request.in_flight -= 1
        request.tokens.append((request.out_seg, request.outputs))
        request.outputs += 1
        if request.first_token is None:
            request.first_token = now
        is_running = request in self.running
        if self.asynchronous and is_running:
            request.placeholders -= 1
            self._register(request, request.computed - request.placeholders)
        if len(request.tokens) >= self.max_model_len or request.outputs >= request.max_tokens:
            request.status = "finished"
            request.finish = now
            self._free_table(request)
            (self.running if is_running else self.waiting).remove(request)


class Recording:
    """The virtual-time loop of section 3 around a scheduler, and the tables it leaves."""

    def __init__(self, config: Config, requests: Sequence[Row]) -> None:
        self.config = config
        self.scheduler = ReferenceScheduler(config)
        self.requests = [_request(index, row) for index, row in enumerate(requests)]
        self.to_come = list(self.requests)
        self.now = 0
        self.device_free = 0  # when the last batch that was scheduled ends
        self.steps: list[Row] = []

    def run(self) -> str:
        """Drive to the end and say why it ended."""
        in_flight: list[Batch] = []
        depth = 2 if self.config["async_scheduling"] else 1
        while not self._cut():
            self._take_arrivals()
            batch = self.scheduler.schedule()
            if batch.entries or batch.preempted:
                self._record(batch)
            if batch.entries:
                in_flight.append(batch)
                if len(in_flight) < depth:
                    continue
            if in_flight:
                oldest = in_flight.pop(0)
                self.now = oldest.end
                self.scheduler.deliver(oldest, self.now)
            elif not batch.preempted:
                if not self.to_come:
                    left = self.scheduler.waiting or self.scheduler.running
                    return "stuck" if left else "all_done"
                self.now = max(self.now, self.to_come[0].arrival)
        return "max_steps"

    def _cut(self) -> bool:
        limit = self.config["max_steps"]
        return limit is not None and len(self.steps) >= limit

    def _take_arrivals(self) -> None:
        while self.to_come and self.to_come[0].arrival <= self.now:
            request = self.to_come.pop(0)
            if 0 < request.prompt < self.config["max_model_len"]:
                self.scheduler.enqueue(request)
            else:
                request.status = "rejected"

    def _record(self, batch: Batch) -> None:
        start, duration = self.now, 0
        if batch.entries:
            start = max(self.device_free, self.now)
            duration = self._duration(batch)
            self.device_free = batch.end = start + duration
        for entry in batch.entries:
            if entry.request.first_sched is None:
                entry.request.first_sched = start
        row: Row = {
            "t_ns": start,
            "dur_ns": duration,
            "running": [
                e.request.id if e.n == 1 else [e.request.id, e.n] for e in batch.entries if e.kind == RUNNING
            ],
            "admitted": [[e.request.id, e.n, e.before, e.kind] for e in batch.entries if e.kind != RUNNING],
            "preempted": [r.id for r in batch.preempted],
            "free_blocks": len(self.scheduler.pool.free),
            "n_running": len(self.scheduler.running),
            "n_waiting": len(self.scheduler.waiting),
            "n_cached": len(self.scheduler.pool.copies),
        }
        if self.config["async_scheduling"]:
            row["t_sched_ns"] = self.now
        self.steps.append(row)

    def _duration(self, batch: Batch) -> int:
        time = self.config["step_time"]
        scheduled = sum(e.n for e in batch.entries)
        context = sum(e.before + e.n for e in batch.entries)
        return (
            time["a_ns"]
            + time["b_ns_per_scheduled_token"] * scheduled
            + time["c_ns_per_context_token"] * context
        )


def _request(index: int, row: Row) -> Request:
    tokens = [(segment, i) for segment, length in row["pieces"] for i in range(length)]
    return Request(
        index,
        row["arrival_ns"],
        row["priority"],
        row["max_tokens"],
        row["out_seg"],
        tokens,
        prompt=len(tokens),
    )


def _result(r: Request) -> Row:
    return {
        "status": r.status,
        "first_sched_ns": r.first_sched,
        "first_token_ns": r.first_token,
        "finish_ns": r.finish,
        "n_output": r.outputs,
        "n_preempt": r.preemptions,
        "cached_first": r.cached[0] if r.cached else None,
        "cached_all": sum(r.cached),
    }


def run(config: Config, requests: Sequence[Row]) -> tuple[list[Row], list[Row], str]:
    """Step rows, result rows and the reason of the end."""
    recording = Recording(config, requests)
    reason = recording.run()
    return recording.steps, [_result(r) for r in recording.requests], reason

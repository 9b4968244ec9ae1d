"""The scheduling decisions of vLLM V1 (0.32), as a state machine without a clock.

`schedule()` is one call of vLLM's `Scheduler.schedule()`; `deliver()` is `update_from_output()` of one batch.
With synchronous scheduling a batch is delivered before the next call (depth 1); with asynchronous scheduling
one batch is in flight during the next call (depth 2). While every running sequence decodes and nothing can
be admitted, `leap(k)` stands for k calls. The rules are vLLM's: `v1/core/sched/scheduler.py`; their proof is
`bandwall validate scheduler`.

Two ways lead through a call. The short one treats all decodes as one number and applies when no sequence can
be preempted or starved in this call; otherwise every sequence is looked at in turn (`one_by_one.py`).
"""

from collections.abc import Sequence
from functools import partial

from sim.serving.ahead import time_ahead
from sim.serving.batch import Batch, SchedulerConfig
from sim.serving.book import DECODE, DONE, DRAINING, PREFILL, WAITING, RequestBook
from sim.serving.decode_set import DecodeSet
from sim.serving.kv_cache import MISS, Hit, KvCache, Table
from sim.serving.one_by_one import schedule_one_by_one
from sim.serving.open_decodes import OpenDecodes
from sim.serving.speculative_decodes import SpeculativeDecodeSet
from sim.serving.tiers.lower_tiers import LowerTiers
from sim.serving.waiting import FcfsQueue, PriorityQueue, WaitingQueue
from sim.timing.surface_protocol import Surface


class Scheduler:
    """Queues, block accounting and decisions of one engine (one attention-dp rank).

    Attributes:
        tiers: stores below its KV cache, None where there are none.
    """

    __slots__ = (
        "admissions", "blocked", "book", "budget", "cache", "caching", "config", "decoding", "held",
        "open_decodes", "prefilling", "queries", "running", "size", "starved", "threshold", "tiers",
        "waiting",
    )  # fmt: skip

    def __init__(self, config: SchedulerConfig, book: RequestBook, windows: tuple[int, ...] = ()) -> None:
        self.config = config
        self.size = config.block_size
        self.held = config.sequence_blocks
        self.queries = config.queries
        self.budget = config.max_num_scheduled_tokens
        self.threshold = config.long_prefill_token_threshold
        self.book = book
        self.cache = KvCache(config.num_blocks, config.block_size)
        decodes = SpeculativeDecodeSet if config.acceptance else DecodeSet
        self.decoding: DecodeSet = decodes(book, config, windows)
        self.waiting: WaitingQueue = PriorityQueue(book) if config.priority else FcfsQueue()
        self.running: dict[int, None] = {}
        self.prefilling: dict[int, None] = {}
        self.starved: dict[int, None] = {}
        self.caching = config.enable_prefix_caching
        # A speculating engine's tokens in flight count as known: how many they are is drawn in advance.
        lag = 1 if config.async_scheduling and not config.acceptance else 0
        self.open_decodes = OpenDecodes(book, self.cache, lag)
        self.admissions = 0
        self.blocked = False
        self.tiers: LowerTiers | None = None

    # -- arrivals -----------------------------------------------------------------------------------------

    def submit(self, request: int) -> None:
        """A request enters the waiting queue."""
        if self.config.priority or not self.waiting:
            self.blocked = False
        self.waiting.add(request)

    # -- runs of decode steps -----------------------------------------------------------------------------

    @property
    def waited(self) -> tuple[float, float]:
        """One scheduler alone waits for nobody."""
        return 0.0, 0.0

    def horizon(self) -> int:
        """How many further calls schedule exactly the present decodes, whatever arrives; 0 if the next call
        must be looked at. An arrival ends it only where `blocked` is false."""
        decoding = self.decoding
        count = decoding.count
        waiting = self.waiting
        if not count or (waiting and not self.blocked):
            return 0
        if self.prefilling or self.starved or count * self.queries > self.budget:
            return 0
        ticks = decoding.straight()
        if waiting and self.open_decodes.count and len(self.running) < self.config.max_num_seqs:
            # A call that registers a block must be looked at: it may be the hit that the head of the queue
            # was short of, and it can be hit in the same call.
            ticks = min(ticks, self.open_decodes.ticks_before_fill(decoding.tick))
        return decoding.ticks_within(ticks, self.cache.free)

    def leap(self, ticks: int) -> list[int]:
        """`ticks` calls within the horizon; returns who got the last token in the last of them."""
        decoding = self.decoding
        due = decoding.blocks_due(ticks)
        if due:
            self.cache.take(due)
        if self.open_decodes.count:
            self.open_decodes.fill(decoding.tick, ticks)
        decoding.advance(ticks)
        return self._leave() if decoding.leaving[0][0] < decoding.tick else []

    def segment(self, surface: Surface) -> tuple[float, float, int]:
        """(first, slope, length) of the present decodes' next steps."""
        decoding = self.decoding
        return surface.segment(decoding.count, decoding.sums, decoding.growth)

    def ahead(self, ticks: int, surface: Surface) -> float:
        """Duration of the next `ticks` decode-only steps, within the horizon; changes nothing."""
        return time_ahead([self.decoding], ticks, lambda states: surface.segment(*states[0]))

    # -- one call -----------------------------------------------------------------------------------------

    def schedule(self) -> Batch:
        """One call: who computes how many tokens in the next step."""
        decoding = self.decoding
        due = decoding.blocks_due(1)
        requests = len(self.running) + len(self.waiting)
        cap = self.long_prefill_cap(requests) if self.threshold else 0
        budget = self.budget - decoding.count * self.queries
        if not self._all_advance(budget, due, cap):
            return schedule_one_by_one(self)
        batch = Batch(decoding.count, decoding.sums.copy())
        batch.yielded = decoding.tokens(1)
        if due:
            self.cache.take(due)
        if self.open_decodes.count:
            self.open_decodes.fill(decoding.tick, 1)
        decoding.advance(1)
        for request in self.prefilling:
            if budget:
                budget -= self.advance_prefill(request, self._chunk(request, budget, cap), batch)
        self.admit(batch, budget, cap)
        if decoding.leaving and decoding.leaving[0][0] < decoding.tick:
            batch.finishing = self._leave()
        for request in batch.firsts:
            self.yield_token(request, batch)
        return batch

    def price(self, batch: Batch, surface: Surface) -> float:
        """Duration of a scheduled step."""
        if batch.chunks:
            return surface.mixed(batch.decodes, batch.sums, batch.chunks)
        return surface.segment(batch.decodes, batch.sums, self.decoding.growth)[0]

    def _all_advance(self, budget: int, due: int, cap: int) -> bool:
        """Whether every running sequence computes in this call and none can be preempted: only the last of
        the running list may still prefill; the budget, and the free blocks for the `due` and the prefill's,
        suffice for all."""
        if budget < 0 or self.starved or len(self.prefilling) > 1:
            return False
        for request in self.prefilling:
            if next(reversed(self.running)) != request:
                return False
            new = self._chunk(request, budget, cap)
            due += self.blocks_for(self.book.computed[request] + new) - self.book.blocks[request]
        return due <= self.cache.free

    def _chunk(self, request: int, budget: int, cap: int) -> int:
        book = self.book
        new = book.known[request] - book.computed[request]
        return min(new, cap or new, budget)

    def advance_prefill(self, request: int, new: int, batch: Batch) -> int:
        """The next `new` tokens of an admitted prompt; returns `new`."""
        book = self.book
        past = book.computed[request]
        self.compute(request, past, new, batch)
        batch.advanced.append((request, new))
        return new

    def compute(self, request: int, past: int, new: int, batch: Batch) -> None:
        """A chunk of a prefill; if all known tokens are then computed, the request yields a token."""
        book, computed = self.book, past + new
        self.grow(request, computed, computed)
        book.computed[request] = computed
        batch.chunks.append((new, past))
        if computed == book.known[request]:
            batch.firsts.append(request)

    def long_prefill_cap(self, requests: int) -> int:
        """The most tokens one prompt may compute in a call that finds so many requests; 0 for no cap."""
        if not self.threshold or requests <= 1:
            return 0
        if self.config.long_prefill_adaptive:
            return max(self.threshold, self.config.max_num_batched_tokens // requests)
        return self.threshold

    # -- admission ----------------------------------------------------------------------------------------

    def admit(self, batch: Batch, budget: int, cap: int) -> None:
        """Admit from the head of the queue while budget, seats and blocks last; strict order."""
        book, config = self.book, self.config
        waiting, running = self.waiting, self.running
        self.blocked = False
        while waiting and budget > 0:
            if len(running) >= config.max_num_seqs:
                self.blocked = True
                return
            request = waiting.head()
            known = book.known[request]
            table = book.table[request]
            hit = MISS if table is None else self.look_up(table, known)
            if (reserved := self.reserve(request, hit)) is not None:
                if reserved:
                    continue
                self.blocked = True
                return
            past = hit.blocks * self.size if self.tiers is None else self.past(request, hit)
            new = known - past
            if cap and new > cap:
                new = cap
            if new > budget:
                if not config.enable_chunked_prefill:
                    self.blocked = not batch.chunks and not config.long_prefill_adaptive
                    return
                new = budget
            if not self.has_room(request, hit, past + new):
                self.blocked = not config.long_prefill_adaptive or config.scheduler_reserve_full_isl
                return
            waiting.take()
            budget -= new
            self.start(request, new, hit, batch)

    def has_room(self, request: int, hit: Hit, tokens: int) -> bool:
        """Whether the head of the queue may be admitted to compute up to `tokens` of its tokens now."""
        reserved = self.book.known[request] if self.config.scheduler_reserve_full_isl else tokens
        return self.blocks_for(reserved) <= self.spare(hit)

    def spare(self, hit: Hit) -> int:
        """Blocks that a table which begins with `hit` may have."""
        cache, config = self.cache, self.config
        return cache.free - hit.idle - (config.watermark_blocks if self.running else 0) + hit.blocks

    def reserve(self, request: int, hit: Hit) -> bool | None:
        """Whether blocks are allocated for a prompt that is computed elsewhere; None: it is computed here."""
        return None

    def look_up(self, table: Table, known: int) -> Hit:
        """What of a prompt of `known` tokens the cache holds; its last token is always computed."""
        if not self.caching:
            return MISS
        hit = self.cache.look_up(table.path, (known - 1) // self.size)
        if hit.blocks and self.config.recompute_last_block:
            return self.cache.look_up(table.path, hit.blocks - 1)
        return hit

    def past(self, request: int, hit: Hit) -> int:
        """Tokens of a prompt that need not be computed: those of the hit, and what is loaded beside the step
        that computes the rest."""
        table = self.book.table[request]
        if self.tiers is None or not self.tiers.layerwise or table is None:
            return hit.blocks * self.size
        return self.tiers.reach(table.path, hit.blocks, self.most_cached(request)) * self.size

    def most_cached(self, request: int) -> int:
        """Blocks of a prompt that need not be computed if all of it is held somewhere."""
        return (self.book.known[request] - 1) // self.size - self.config.recompute_last_block

    def start(self, request: int, new: int, hit: Hit, batch: Batch) -> None:
        """Seat a request, taken from the queue, and compute its first `new` tokens after what is held."""
        past = self.past(request, hit)
        self.take_hit(request, hit, past)
        table = self.book.table[request]
        if self.tiers is not None and table is not None and past > hit.blocks * self.size:
            loaded = self.tiers.load(request, table.path, hit.blocks, past // self.size)
            batch.until = max(batch.until, loaded)
        self.seat(request, past, new, batch)

    def take_hit(self, request: int, hit: Hit, past: int) -> None:
        """The request's table begins with the hit; `past` of its tokens need not be computed."""
        book = self.book
        table = book.table[request]
        if hit.blocks and table is not None:
            self.cache.acquire(table, hit)
            book.blocks[request] = hit.blocks
            if self.tiers is not None:
                self.tiers.hit(request, table.path, hit.blocks)
        if not book.preemptions[request]:
            book.cached_first[request] = past
        book.cached[request] += past

    def seat(self, request: int, past: int, new: int, batch: Batch) -> None:
        """The request runs: it computes `new` tokens after the `past` ones that are there."""
        book = self.book
        self.admissions += 1
        book.order[request] = self.admissions
        self.running[request] = None
        self.prefilling[request] = None
        book.state[request] = PREFILL
        self.compute(request, past, new, batch)
        batch.admitted.append((request, new, past, book.preemptions[request] > 0))

    # -- preemption ---------------------------------------------------------------------------------------

    def victim(self, order: Sequence[int]) -> int:
        """Who of the running list goes when blocks are short: its last, or the least urgent."""
        if not self.config.priority:
            return order[-1]
        book = self.book
        return max(order, key=lambda r: (book.priority[r], book.arrival[r]))

    def requeue(self, request: int) -> None:
        """A preempted request waits again."""
        self.waiting.put_back(request)

    # -- the end of the engine ----------------------------------------------------------------------------

    def requests(self) -> list[int]:
        """Everybody in it: those who run in order of admission, then those who wait."""
        return [*self.running, *self.waiting.requests()]

    def evacuate(self) -> tuple[list[int], int]:
        """Everybody in it, made ready to be computed on another engine: the generated tokens stay, the KV
        cache and parts of a token do not. All batches must have been delivered; the scheduler is of no use
        afterwards.

        Returns:
            the requests; tokens that its steps yielded in parts, of which nobody has a whole one.
        """
        book, inside = self.book, self.requests()
        parts = 0.0
        for request in inside:
            if book.state[request] == DECODE:
                self.decoding.write_down(request)
                book.known[request] = book.computed[request] + 1
            parts += book.fraction[request]
            book.fraction[request] = 0
            book.known[request] += book.inflight[request]
            book.inflight[request] = book.computed[request] = book.blocks[request] = 0
            book.state[request] = WAITING
            table = book.table[request]
            if table is not None:
                book.table[request] = Table(table.path)
        return inside, self.decoding.counted(parts)

    # -- blocks -------------------------------------------------------------------------------------------

    def blocks_for(self, tokens: int) -> int:
        """Blocks of a table that covers so many tokens, with what a sequence holds beside them."""
        return self.held - (-tokens // self.size)

    def grow(self, request: int, tokens: int, filled: int) -> None:
        """Extend a table to cover `tokens` and register the blocks that `filled` known tokens fill."""
        book = self.book
        blocks = max(book.blocks[request], self.held - (-tokens // self.size))
        self.cache.take(blocks - book.blocks[request])
        book.blocks[request] = blocks
        table = book.table[request]
        if table is not None and self.caching:
            self.cache.register(table, filled // self.size)
        if self.tiers is not None:
            self.offer(request, filled)

    def offer(self, request: int, filled: int) -> None:
        """Lower tiers may write the blocks that `filled` tokens fill."""
        table = self.book.table[request]
        if self.tiers is not None and table is not None:
            self.tiers.offer(request, table.path, filled // self.size)

    def free_table(self, request: int, filled: int) -> None:
        """Free the request's blocks; those that `filled` tokens fill keep their content if caching is on."""
        book, cache = self.book, self.cache
        blocks = book.blocks[request]
        book.blocks[request] = 0
        if not self.caching:
            cache.give_back_private(blocks, 0)
            return
        full = filled // self.size
        table = book.table[request]
        if table is None:
            cache.give_back_private(blocks, full)
            return
        cache.register(table, full)
        cache.release(table, blocks)

    # -- membership of the decode set ---------------------------------------------------------------------

    def _leave(self) -> list[int]:
        """Who computed the last token in the call just made: drains until the batch is delivered."""
        decoding, book = self.decoding, self.book
        left = decoding.pop_leaving(decoding.tick - 1)
        if left and not self.config.enable_chunked_prefill:
            self.blocked = False  # what they took of the budget is the head's from the next call on
        for request in left:
            if self.open_decodes.count:
                self.open_decodes.quit(request)
            book.state[request] = DRAINING
        return left

    def yield_token(self, request: int, batch: Batch) -> None:
        """A sequence out of the decode set yields a token in this batch: it joins the set, or drains."""
        book = self.book
        computed = book.computed[request]
        remaining = book.prompt[request] + book.cap[request] - computed - 1
        self.prefilling.pop(request, None)
        if self.starved:
            self.starved.pop(request, None)
        if remaining:
            self.decoding.join(request, computed, remaining)
            if book.open[request] and self.caching and self.queries == 1:
                self.open_decodes.join(request)
        else:
            book.state[request] = DRAINING
            batch.finishing = [*batch.finishing, request]
            self.blocked = False

    # -- after the step -----------------------------------------------------------------------------------

    def deliver(self, batch: Batch, time: float) -> None:
        """A batch has run until `time`: tokens are known, finished sequences leave and free their blocks."""
        book = self.book
        for request in batch.firsts:
            if book.first_token[request] is None:
                book.first_token[request] = time
            since = book.thrown_out[request]
            if since is not None:
                book.recomputes.append((request, since, time))
                book.thrown_out[request] = None
        for request in batch.late:
            self._deliver_late(request)
        for request in batch.finishing:
            book.finish[request] = time
            if book.state[request] == WAITING:
                self.waiting.drop(request)
            else:
                del self.running[request]
                self.let_go(request)
            book.state[request] = DONE
            self.blocked = False

    def let_go(self, request: int) -> None:
        """A request that has left frees its blocks, once those that lower tiers get have been written."""
        filled = self.book.prompt[request] + self.book.cap[request] - 1
        if self.tiers is None:
            self._forget(request, filled)
            return
        self.offer(request, filled)
        self.tiers.let_go(request, partial(self._forget_written, request, filled))

    def _forget(self, request: int, filled: int) -> None:
        self.free_table(request, filled)
        self.book.table[request] = None

    def _forget_written(self, request: int, filled: int) -> None:
        self._forget(request, filled)
        self.blocked = False

    def _deliver_late(self, request: int) -> None:
        """The token of a sequence that the following call left out."""
        book = self.book
        if request in self.starved and book.inflight[request]:
            book.inflight[request] -= 1
            book.known[request] += 1
            table = book.table[request]
            if table is not None and self.caching:
                self.cache.register(table, book.computed[request] // self.size)

    def tokens(self, ticks: int) -> int:
        """Tokens that the present decodes' next `ticks` steps yield, within the horizon."""
        return self.decoding.tokens(ticks)

    def may_deliver_early(self) -> bool:
        """Whether the next call decides the same if the sequences that finish during it are gone already:
        nobody waits for their seats or blocks, and no content is kept that their blocks could outlive."""
        cache = self.cache
        if self.tiers is not None or self.waiting or cache.root.children:
            return False
        return self.decoding.blocks_due(1) <= cache.free

    def load(self) -> tuple[int, int, int, int, int]:
        """(decodes, Σ context of their next step, running, waiting, blocks held)."""
        decoding, cache = self.decoding, self.cache
        held = cache.size - cache.free
        return decoding.count, int(decoding.sums[0]), len(self.running), self.queued, held

    @property
    def seated(self) -> int:
        """Sequences that run."""
        return len(self.running)

    @property
    def queued(self) -> int:
        """Requests that have arrived and do not run."""
        return len(self.waiting)

    @property
    def idle(self) -> bool:
        """Nothing is waiting or running."""
        return not self.running and not self.waiting

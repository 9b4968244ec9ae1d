"""The sequences that decode, as aggregates: what a run of decode steps needs, in closed form.

Each member computes one token a tick. A member is at tick t with `offset` o has t + o computed tokens, so
its context in that tick's step is c = t + o + 1, it needs a fresh block when (t + o) mod block_size = 0, and
its last token is known when it joins. Nothing here loops over the members.
"""

from heapq import heappop, heappush

from sim.serving.batch import SchedulerConfig
from sim.serving.book import DECODE, RequestBook


class DecodeSet:
    """Aggregates over the decoding sequences of one scheduler.

    Attributes:
        tick: number of the next schedule call.
        count: members.
        sums: Σ context at the next step, then Σ min(context, w) for each window w.
        growth: what one more step adds to each of `sums`.
        due: for each phase t mod block_size, how many members need a fresh block at tick t.
    """

    __slots__ = (
        "beside", "book", "count", "due", "growth", "leaving", "saturating", "size", "sums", "tick",
        "windows",
    )  # fmt: skip

    def __init__(self, book: RequestBook, config: SchedulerConfig, windows: tuple[int, ...]) -> None:
        self.book = book
        self.size = config.block_size
        self.beside = config.sequence_blocks
        self.windows = windows
        self.tick: int = 0
        self.count = 0
        self.sums: list[float] = [0] * (1 + len(windows))
        self.growth: list[float] = [0] * (1 + len(windows))
        self.due = [0] * config.block_size
        self.leaving: list[tuple[int, int, int]] = []
        self.saturating: list[list[tuple[int, int, int]]] = [[] for _ in windows]

    def join(self, request: int, computed: int, remaining: int) -> None:
        """A sequence with `computed` tokens computes the next one at the next tick; `remaining` ≥ 1 to go."""
        book, tick = self.book, self.tick
        offset = computed - tick
        order = book.order[request]
        book.state[request] = DECODE
        book.offset[request] = offset
        self.count += 1
        self.due[-offset % self.size] += 1
        self.sums[0] += computed + 1
        self.growth[0] += 1
        heappush(self.leaving, (tick + remaining - 1, order, request))
        if self.windows:
            self._join_windows(request, computed + 1, order)

    def pop_leaving(self, tick: int) -> list[int]:
        """The members whose last token is computed at `tick`, in order of admission; they leave, and the book
        has their state.

        `tick` is the call just made: the set must already stand at `tick` + 1.
        """
        left: list[int] = []
        heap, book = self.leaving, self.book
        while heap and heap[0][0] <= tick:
            _, order, request = heappop(heap)
            if book.state[request] != DECODE or book.order[request] != order:
                continue
            left.append(request)
            self.write_down(request)
            context = self.tick + book.offset[request] + 1
            self.count -= 1
            self.due[-book.offset[request] % self.size] -= 1
            self.sums[0] -= context
            self.growth[0] -= 1
            if self.windows:
                self._leave_windows(context)
        return left

    def _join_windows(self, request: int, context: int, order: int) -> None:
        for j, window in enumerate(self.windows, 1):
            self.sums[j] += min(context, window)
            if context < window:
                self.growth[j] += 1
                heappush(self.saturating[j - 1], (self.tick + window - context, order, request))

    def _leave_windows(self, context: int) -> None:
        for j, window in enumerate(self.windows, 1):
            self.sums[j] -= min(context, window)
            if context < window:
                self.growth[j] -= 1

    def advance(self, ticks: int) -> None:
        """Every member has computed `ticks` more tokens; at most up to the next saturation."""
        self.tick += ticks
        sums, growth = self.sums, self.growth
        if len(sums) == 1:
            sums[0] += ticks * growth[0]
            return
        for j, per_tick in enumerate(growth):
            sums[j] += ticks * per_tick
        self._saturate()

    def _saturate(self) -> None:
        """Members whose context has reached a window stop growing its sum."""
        book = self.book
        for j, heap in enumerate(self.saturating, 1):
            while heap and heap[0][0] <= self.tick:
                _, order, request = heappop(heap)
                if book.state[request] == DECODE and book.order[request] == order:
                    self.growth[j] -= 1

    def straight(self) -> int:
        """How many ticks from now the aggregates grow evenly: until a member leaves or fills a window."""
        heap, book = self.leaving, self.book
        while book.state[heap[0][2]] != DECODE or book.order[heap[0][2]] != heap[0][1]:
            heappop(heap)
        ticks = heap[0][0] - self.tick + 1
        for heap in self.saturating:
            if heap and heap[0][0] - self.tick < ticks:
                ticks = heap[0][0] - self.tick
        return ticks

    def tokens(self, ticks: int) -> int:
        """Tokens that the next `ticks` steps yield."""
        return ticks * self.count

    def count_tokens(self, amount: float) -> int:
        """Tokens of a step in which sequences outside the set got `amount`."""
        return int(amount)

    def counted(self, parts: float) -> int:
        """Tokens that were counted as yielded of these parts of tokens, those that are carried over left out;
        without speculation there are none."""
        return 0

    def context(self, request: int) -> float:
        """Tokens that a member's next step reads."""
        return self.tick + self.book.offset[request] + 1

    def write_down(self, request: int) -> None:
        """Into the book: a member's computed tokens and the blocks of its table."""
        computed = self.tick + self.book.offset[request]
        self.book.computed[request] = computed
        self.book.blocks[request] = self.beside - (-computed // self.size)

    def blocks_due(self, ticks: int) -> int:
        """Fresh blocks that the members need over the next `ticks` ticks."""
        due, size = self.due, self.size
        if ticks == 1:
            return due[self.tick % size]
        needed = ticks // size * self.count
        start = self.tick % size
        stop = start + ticks % size
        return needed + (sum(due[start:stop]) if stop <= size else sum(due[start:]) + sum(due[: stop - size]))

    def ticks_within(self, ticks: int, free: int) -> int:
        """How many of the next `ticks` ticks `free` blocks are enough for."""
        count, size = self.count, self.size
        if (ticks // size + 1) * count <= free:
            return ticks
        cycles = min(ticks // size, free // count)
        free -= cycles * count
        due, tick, done = self.due, self.tick, cycles * size
        while done < ticks and due[(tick + done) % size] <= free:
            free -= due[(tick + done) % size]
            done += 1
        return done

    def dissolve(self) -> None:
        """Forget all members; the tick stays."""
        self.count = 0
        self.sums = [0] * len(self.sums)
        self.growth = [0] * len(self.growth)
        self.due = [0] * self.size
        self.leaving.clear()
        for heap in self.saturating:
            heap.clear()

"""The decoding sequences of a speculating engine as aggregates.

Each member advances g tokens a tick (sim.serving.speculation), so at tick t it has p(t) = o + g·t computed
tokens and its step reads c = p + 1 + k (its last token and k drafts included). Its table must cover

    synchronous     ⌊p(t)⌋ + (1 + k) + k          this step's tokens, and slots for the next drafts
    asynchronous    ⌊p(t - 1)⌋ + 2·(1 + k) + k    the step in flight is taken to be accepted in full

tokens, at most the model's length. As in vLLM (`num_lookahead_tokens` of EAGLE, MTP and draft models; with
async scheduling placeholders for every draft), slots of rejected drafts are overwritten, not freed.
How many blocks that is has no closed form over members of different pace: it is one vector sum.
"""

from heapq import heappop, heappush
from math import ceil, floor

import numpy as np
from numpy.typing import NDArray

from sim.serving.batch import SchedulerConfig
from sim.serving.book import DECODE, RequestBook
from sim.serving.decode_set import DecodeSet


class SpeculativeDecodeSet(DecodeSet):
    """As `DecodeSet`, for members that each have their own pace.

    Attributes:
        held: blocks of all members' tables after the last tick; base: of each when it joined, at `joined`.
        excess: by tick, the tokens by which members that end in it would overshoot.
        carry: tokens yielded so far that do not make a whole one yet.
    """

    __slots__ = (
        "base", "carry", "drafts", "excess", "held", "joined", "lead", "limit", "members", "offset", "pace",
        "place",
    )  # fmt: skip

    def __init__(self, book: RequestBook, config: SchedulerConfig, windows: tuple[int, ...]) -> None:
        super().__init__(book, config, windows)
        self.drafts = len(config.acceptance)
        self.lead = config.async_scheduling
        self.limit = config.max_model_len
        seats = config.max_num_seqs
        self.offset = np.zeros(seats)
        self.pace = np.zeros(seats)
        self.base = np.zeros(seats, np.int64)
        self.joined = np.zeros(seats, np.int64)
        self.members: list[int] = []
        self.place: dict[int, int] = {}
        self.held = 0
        self.carry = 0.0
        self.excess: dict[int, float] = {}

    def join(self, request: int, computed: int, remaining: int) -> None:
        """A sequence with `computed` tokens decodes from the next tick on; `remaining` ≥ 1 to go."""
        book, tick = self.book, self.tick
        order, pace, fraction = book.order[request], book.pace[request], book.fraction[request]
        position = computed + fraction
        ticks = ceil((remaining - fraction) / pace)
        book.state[request] = DECODE
        place = self.place[request] = self.count
        self.members.append(request)
        self.offset[place] = position - pace * tick
        self.pace[place] = pace
        self.base[place] = book.blocks[request]
        self.joined[place] = tick
        self.held += book.blocks[request]
        self.count += 1
        context = position + 1 + self.drafts
        self.sums[0] += context
        self.growth[0] += pace
        last = tick + ticks - 1
        self.excess[last] = self.excess.get(last, 0.0) + pace * ticks - (remaining - fraction)
        heappush(self.leaving, (last, order, request))
        for j, window in enumerate(self.windows, 1):
            self.sums[j] += min(context, window)
            if context < window:
                self.growth[j] += pace
                heappush(self.saturating[j - 1], (tick + ceil((window - context) / pace), order, request))

    def pop_leaving(self, tick: int) -> list[int]:
        """The members whose last token is computed at `tick`; they leave."""
        left: list[int] = []
        heap, book = self.leaving, self.book
        while heap and heap[0][0] <= tick:
            request = heappop(heap)[2]
            left.append(request)
            context, pace = self.context(request), book.pace[request]
            self.write_down(request)
            book.computed[request] = book.prompt[request] + book.cap[request] - 1
            book.fraction[request] = 0.0
            self.held -= book.blocks[request]
            self._remove(request)
            self.sums[0] -= context
            self.growth[0] -= pace
            for j, window in enumerate(self.windows, 1):
                self.sums[j] -= min(context, window)
                if context < window:
                    self.growth[j] -= pace
        return left

    def _remove(self, request: int) -> None:
        """The last member takes the place of one that leaves."""
        place, last = self.place.pop(request), self.count - 1
        moved = self.members.pop()
        if place != last:
            self.members[place] = moved
            self.place[moved] = place
            for column in (self.offset, self.pace, self.base, self.joined):
                column[place] = column[last]
        self.count = last

    def advance(self, ticks: int) -> None:
        """Every member has made `ticks` more steps; at most up to the next saturation or end."""
        self.held += self.blocks_due(ticks)
        self.carry = self._yielded(ticks) - self.tokens(ticks)
        self.excess.pop(self.tick + ticks - 1, None)
        self.tick += ticks
        for j, per_tick in enumerate(self.growth):
            self.sums[j] += ticks * per_tick
        self._saturate()

    def _saturate(self) -> None:
        """Members whose context has reached a window stop growing its sum, at the window itself."""
        book = self.book
        for j, (heap, window) in enumerate(zip(self.saturating, self.windows, strict=True), 1):
            while heap and heap[0][0] <= self.tick:
                _, order, request = heappop(heap)
                if book.state[request] == DECODE and book.order[request] == order:
                    self.growth[j] -= book.pace[request]
                    self.sums[j] -= self.context(request) - window

    def tokens(self, ticks: int) -> int:
        """Whole tokens that the next `ticks` steps yield, with what is carried over from those before."""
        return floor(self._yielded(ticks))

    def _yielded(self, ticks: int) -> float:
        return self.carry + self.growth[0] * ticks - self.excess.get(self.tick + ticks - 1, 0.0)

    def count_tokens(self, amount: float) -> int:
        """Whole tokens of a step in which members outside the set yielded `amount`."""
        amount += self.carry
        self.carry = amount - floor(amount)
        return floor(amount)

    def counted(self, parts: float) -> int:
        """Tokens that were counted as yielded of these parts: a whole number, but for rounding."""
        return round(parts - self.carry)

    def blocks_due(self, ticks: int) -> int:
        """Blocks that the members need over the next `ticks` ticks beyond those they hold."""
        if not self.count:
            return 0
        n = self.count
        position = self.offset[:n] + self.pace[:n] * (self.tick + ticks - 1)
        if self.lead:
            position -= self.pace[:n]
        blocks = self._blocks(np.floor(position).astype(np.int64) + self._slots, self.base[:n])
        return int(blocks.sum()) - self.held

    def ticks_within(self, ticks: int, free: int) -> int:
        """How many of the next `ticks` ticks `free` blocks are enough for."""
        if self.blocks_due(ticks) <= free:
            return ticks
        enough, short = 0, ticks
        while short - enough > 1:
            middle = (enough + short) // 2
            if self.blocks_due(middle) <= free:
                enough = middle
            else:
                short = middle
        return enough

    @property
    def _slots(self) -> int:
        """Tokens that a table covers beyond the whole ones at hand."""
        return 2 + 3 * self.drafts if self.lead else 1 + 2 * self.drafts

    def _blocks(self, covered: NDArray[np.int64], base: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.maximum(base, self.beside - (-np.minimum(covered, self.limit) // self.size))

    def covered(self, request: int) -> int:
        """Tokens that the table of a sequence outside the set must cover in its next step."""
        return self._reach(request, self.book.computed[request] + self.book.fraction[request])

    def _reach(self, request: int, position: float) -> int:
        if self.lead:
            position -= self.book.pace[request]
        return min(floor(position) + self._slots, self.limit)

    def position(self, request: int) -> float:
        """Tokens that a member has computed before its next step, a part of one included."""
        place = self.place[request]
        return float(self.offset[place] + self.pace[place] * self.tick)

    def context(self, request: int) -> float:
        """Tokens that a member's next step reads."""
        return self.position(request) + 1 + self.drafts

    def write_down(self, request: int) -> None:
        """Into the book: a member's computed tokens and the blocks of its table."""
        book, position, place = self.book, self.position(request), self.place[request]
        book.computed[request] = floor(position)
        book.fraction[request] = position - floor(position)
        blocks = int(self.base[place])
        if self.tick > self.joined[place]:
            last = self._reach(request, position - book.pace[request])
            blocks = max(blocks, self.beside - (-last // self.size))
        book.blocks[request] = blocks

    def dissolve(self) -> None:
        """Forget all members; the tick stays."""
        super().dissolve()
        self.members.clear()
        self.place.clear()
        self.excess.clear()
        self.held = 0

"""SGLang's scheduler: prefill first, in chunks, admitted by how much memory the running ones may still take.

    room for a request:  new tokens + min(tokens it may generate, 4096)
                         < free tokens − ratio · Σ over running of min(tokens still to come, 4096)

`ratio` guesses which part of their allowance the running ones will use. It starts at 0.7, falls in 600 decode
steps to 0.14 of that, and whenever memory runs out it is set from those who then run. A decode step short of
memory retracts those with the fewest generated tokens (of equals the longest prompt); they wait again, at the
end of the queue, and are prefilled with what they had generated. A prompt beyond the chunk size is continued
in the next step, before anybody else. The inbox is looked at every `recv_interval` decode steps and after
every prefill step.

Source: SGLang 0.5, `managers/schedule_policy.py` (PrefillAdder), `managers/scheduler.py`,
`managers/schedule_batch.py` (retract_decode), `managers/scheduler_recv_skipper.py`; defaults of its
environment variables.
"""

from collections.abc import Sequence

from sim.serving.batch import Batch, SchedulerConfig
from sim.serving.book import DECODE, RequestBook
from sim.serving.kv_cache import MISS, Hit
from sim.serving.prefill_first import PrefillFirstScheduler

CLIP = 4096
FIRST_RATIO = 0.7
LEAST_RATIO = 0.14 * FIRST_RATIO
DECAY = (FIRST_RATIO - LEAST_RATIO) / 600
LOOK_AHEAD = 20
"""Decode steps that the estimate after a retraction provides for."""


class RetractingScheduler(PrefillFirstScheduler):
    """SGLang's rules.

    Attributes:
        inbox: requests that have arrived and were not looked at yet.
        ratio: at the last retraction (or the first one); decays: decode steps since.
        since_look: decode steps since the inbox was looked at.
    """

    __slots__ = ("decays", "inbox", "ratio", "since_look")

    def __init__(self, config: SchedulerConfig, book: RequestBook, windows: tuple[int, ...] = ()) -> None:
        super().__init__(config, book, windows)
        self.inbox: list[int] = []
        self.ratio = FIRST_RATIO
        self.decays = 0
        self.since_look = config.recv_interval

    # -- arrivals -----------------------------------------------------------------------------------------

    def submit(self, request: int) -> None:
        """A request arrives; it is looked at in time."""
        self.inbox.append(request)

    @property
    def idle(self) -> bool:
        """Nothing is waiting or running."""
        return not self.inbox and super().idle

    @property
    def queued(self) -> int:
        """Requests that have arrived and do not run."""
        return len(self.waiting) + len(self.inbox)

    def requests(self) -> list[int]:
        """Everybody in it, the inbox last."""
        return [*super().requests(), *self.inbox]

    def _count_decodes(self, steps: int) -> None:
        """Decode steps since the last look; those at an empty inbox are looks too."""
        interval = self.config.recv_interval
        since = 0 if self.since_look >= interval else self.since_look
        self.since_look = (since + steps - 1) % interval + 1

    def _look(self) -> None:
        """Requests of the inbox join the queue."""
        self.since_look = 0
        for request in self.inbox:
            super().submit(request)
        self.inbox.clear()

    # -- runs of decode steps -----------------------------------------------------------------------------

    def horizon(self) -> int:
        """As for `Scheduler`, up to the next look at a filled inbox or the step with room for the head."""
        ticks = super().horizon()
        if ticks and self.inbox:
            ticks = min(ticks, max(0, self.config.recv_interval - self.since_look))
        if ticks and self.waiting and len(self.running) < self.config.max_num_seqs:
            ticks = self._steps_without_room(ticks)
        return ticks

    def leap(self, ticks: int) -> list[int]:
        """`ticks` decode steps."""
        self.decays += ticks
        self._count_decodes(ticks)
        return super().leap(ticks)

    def may_deliver_early(self) -> bool:
        """Nor is anybody in the inbox."""
        return not self.inbox and super().may_deliver_early()

    # -- one call -----------------------------------------------------------------------------------------

    def schedule(self) -> Batch:
        """One call: a prefill step if there is one, else a decode step."""
        if not self.running:
            self.ratio, self.decays = FIRST_RATIO, 0
        if self.since_look >= self.config.recv_interval or not self.running:
            self._look()
        batch = super().schedule()
        if batch.chunks:
            self.since_look = self.config.recv_interval
        elif batch.preempted:
            self._after_retraction()
        else:
            self.decays += 1
            self._count_decodes(1)
        return batch

    def prefill(self, batch: Batch) -> None:
        """The chunk that is under way, then prompts from the head of the queue."""
        budget = self.budget
        self.blocked = False
        for request in self.prefilling:
            new = min(self.book.known[request] - self.book.computed[request], budget)
            if (
                self.blocks_for(self.book.computed[request] + new) - self.book.blocks[request]
                > self.cache.free
            ):
                return
            budget -= self.advance_prefill(request, new, batch)
        spare = self.cache.free * self.size - self._ratio(0) * _clipped(self._to_come(), 0)
        while self.waiting and budget > 0 and (not self.prefilling or batch.chunks):
            request = self.waiting.head()
            known, table = self.book.known[request], self.book.table[request]
            hit = MISS if table is None else self.look_up(table, known)
            new = known - self.past(request, hit)
            may = self._may_generate(request)
            taken = new + may + hit.idle * self.size
            if len(self.running) >= self.config.max_num_seqs or taken >= spare or not self._fits(known, hit):
                self.blocked = not batch.chunks
                return
            chunk = new
            if new > budget:
                chunk = budget // self.size * self.size if self.config.enable_chunked_prefill else 0
                if not chunk:
                    return
            self.waiting.take()
            spare -= taken
            budget -= chunk
            self.start(request, chunk, hit, batch)
            if chunk < new:
                return

    # -- memory -------------------------------------------------------------------------------------------

    def victim(self, order: Sequence[int]) -> int:
        """The fewest generated tokens, of equals the longest prompt, of equals the youngest."""
        book = self.book

        def generated(request: int) -> tuple[int, int, int]:
            tokens = book.known[request] + book.inflight[request] - book.prompt[request]
            return tokens, -book.prompt[request], -book.order[request]

        return min(order, key=generated)

    def requeue(self, request: int) -> None:
        """A retracted request goes to the end of the queue."""
        self.waiting.add(request)

    def _after_retraction(self) -> None:
        """ratio = (tokens generated + 20 per sequence) / tokens allowed, over those who go on."""
        book, running = self.book, self.running
        generated = sum(book.known[r] + book.inflight[r] - book.prompt[r] for r in running)
        allowed = sum(book.cap[r] for r in running)
        self.ratio = min(1.0, (generated + LOOK_AHEAD * len(running)) / allowed) if allowed else FIRST_RATIO
        self.decays = 0

    def _ratio(self, steps: int) -> float:
        return max(self.ratio - DECAY * (self.decays + steps), min(self.ratio, LEAST_RATIO))

    def _to_come(self) -> list[int]:
        """Tokens that each decoding sequence may generate yet."""
        book, context = self.book, self.decoding.context
        return [
            book.prompt[r] + book.cap[r] - int(context(r)) for r in self.running if book.state[r] == DECODE
        ]

    def _steps_without_room(self, most: int) -> int:
        """How many decode steps from now on leave the head of the queue waiting; 0 if it has room now."""
        book, request = self.book, self.waiting.head()
        known, table = book.known[request], book.table[request]
        hit = MISS if table is None else self.look_up(table, known)
        wanted = known - hit.blocks * self.size + self._may_generate(request) + hit.idle * self.size
        to_come, free = self._to_come(), self.cache.free
        if self.queries > 1:
            most = 1  # sequences advance at paces of their own: look again after every step
        for steps in range(most):
            left = (free - self.decoding.blocks_due(steps)) * self.size
            if wanted < left - self._ratio(steps) * _clipped(to_come, steps) and self._fits(
                known, hit, steps
            ):
                return steps
        return most

    def _fits(self, tokens: int, hit: Hit, steps: int = 0) -> bool:
        """Whether the blocks of so many tokens are free after `steps` more decode steps."""
        free = self.cache.free - self.decoding.blocks_due(steps) if steps else self.cache.free
        return self.blocks_for(tokens) - hit.blocks + hit.idle <= free

    def _may_generate(self, request: int) -> int:
        book = self.book
        return min(book.prompt[request] + book.cap[request] - book.known[request], CLIP)


def _clipped(to_come: list[int], steps: int) -> int:
    """Σ min(tokens to come after `steps` more, CLIP)."""
    if not to_come or max(to_come) <= CLIP:
        return sum(to_come) - steps * len(to_come)
    return sum(min(tokens - steps, CLIP) for tokens in to_come)

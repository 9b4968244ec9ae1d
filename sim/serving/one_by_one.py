"""One schedule call with every running sequence looked at in turn: somebody may be preempted or starved."""

from typing import TYPE_CHECKING

from sim.serving.batch import Batch
from sim.serving.book import DECODE, DRAINING, PREFILL, STARVED, WAITING
from sim.serving.kv_cache import Path, Table
from sim.serving.speculative_decodes import SpeculativeDecodeSet

if TYPE_CHECKING:
    from sim.serving.scheduler import Scheduler

# Content of a sequence that shares nothing with others; ids below zero cannot meet a workload's segments.
_PRIVATE = -1


def schedule_one_by_one(scheduler: "Scheduler") -> Batch:
    """vLLM's `schedule()` in its own order: running list, preemptions, then (failing those) admissions."""
    return _Call(scheduler).run()


class _Call:
    """The working state of one call."""

    def __init__(self, scheduler: "Scheduler") -> None:
        self.s = scheduler
        self.book = scheduler.book
        self.order = list(scheduler.running)
        self.scheduled: dict[int, int] = {}
        self.budget = scheduler.config.max_num_scheduled_tokens
        self.cap = scheduler.long_prefill_cap(len(scheduler.running) + len(scheduler.waiting))
        self.batch = Batch(0, [0] * len(scheduler.decoding.sums))

    def run(self) -> Batch:
        scheduler, batch = self.s, self.batch
        self._dissolve()
        self._running_pass()
        scheduler.decoding.tick += 1
        self._price()
        if batch.preempted:
            scheduler.blocked = False
        else:
            scheduler.admit(batch, self.budget, self.cap)
        self._regroup()
        return batch

    def _dissolve(self) -> None:
        """Write down the state of every decode, which the decode set only knew in sum."""
        scheduler, book = self.s, self.book
        lag = scheduler.open_decodes.lag
        for request in self.order:
            if book.state[request] == DECODE:
                scheduler.decoding.write_down(request)
                book.known[request] = book.computed[request] + 1 - lag
                book.inflight[request] = lag
                scheduler.open_decodes.quit(request)
                book.state[request] = STARVED
                scheduler.starved[request] = None
        scheduler.decoding.dissolve()

    def _running_pass(self) -> None:
        book, order, index = self.book, self.order, 0
        while index < len(order) and self.budget > 0:
            request = order[index]
            if book.state[request] == DRAINING:
                index += 1
                continue
            new = book.known[request] + book.inflight[request] - book.computed[request]
            if book.state[request] == STARVED:
                new = self.s.queries
            new = min(new, self.cap or new, self.budget)
            covered = self._covered(request, new)
            removed = self._make_room(request, covered)
            if removed is None:
                return
            index -= removed
            filled = min(book.computed[request] + new, book.known[request])
            self.s.grow(request, covered, filled)
            self.scheduled[request] = new
            self.budget -= new
            index += 1

    def _covered(self, request: int, new: int) -> int:
        """Tokens that the request's table covers once `new` more are scheduled."""
        decoding = self.s.decoding
        if isinstance(decoding, SpeculativeDecodeSet) and self.book.state[request] == STARVED:
            return decoding.covered(request)
        return self.book.computed[request] + new

    def _make_room(self, request: int, covered: int) -> int | None:
        """Preempt until the blocks for so many tokens are free. Returns how many already scheduled sequences
        were taken out before the request in the list, or None if it had to go itself."""
        scheduler, book = self.s, self.book
        needed = scheduler.blocks_for(covered) - book.blocks[request]
        removed = 0
        while needed > scheduler.cache.free:
            victim = scheduler.victim(self.order)
            self.order.remove(victim)
            returned = self.scheduled.pop(victim, None)
            if returned is not None:
                self.budget += returned
                removed += 1
            self._preempt(victim, returned or 0)
            if victim == request:
                return None
        return removed

    def _preempt(self, victim: int, taken_back: int) -> None:
        """Recompute later: the blocks go, the generated tokens stay. A token still in flight is credited at
        once; no decision falls before it is delivered."""
        scheduler, book = self.s, self.book
        if book.state[victim] == DRAINING:
            filled = book.computed[victim] - scheduler.open_decodes.lag
        else:
            filled = min(book.computed[victim] + taken_back, book.known[victim])
            if not taken_back and book.inflight[victim]:
                filled = book.computed[victim] - 1
        if scheduler.caching and book.table[victim] is None:
            book.table[victim] = Table(Path((), _PRIVATE - victim))
        scheduler.offer(victim, filled)
        scheduler.free_table(victim, filled)
        book.known[victim] += book.inflight[victim]
        book.inflight[victim] = 0
        book.computed[victim] = 0
        book.preemptions[victim] += 1
        book.state[victim] = WAITING
        scheduler.prefilling.pop(victim, None)
        scheduler.starved.pop(victim, None)
        del scheduler.running[victim]
        scheduler.requeue(victim)
        self.batch.preempted = [*self.batch.preempted, victim]

    def _price(self) -> None:
        """What the step computes: decodes as aggregates, the others as chunks."""
        book, batch, decoding = self.book, self.batch, self.s.decoding
        batch.order = list(self.scheduled.items())
        gained: float = 0
        for request, new in batch.order:
            past = book.computed[request]
            if book.state[request] == PREFILL:
                book.computed[request] = past + new
                batch.chunks.append((new, past))
                continue
            context = past + book.fraction[request] + self.s.queries
            gained += self._advance_decode(request)
            batch.decodes += 1
            batch.sums[0] += context
            for j, window in enumerate(decoding.windows, 1):
                batch.sums[j] += min(context, window)
        batch.yielded = decoding.count_tokens(gained)

    def _advance_decode(self, request: int) -> float:
        """A step's tokens of one decode; returns how many, parts of one included."""
        book = self.book
        before = book.computed[request] + book.fraction[request]
        last = book.prompt[request] + book.cap[request] - 1
        position = min(before + book.pace[request], last)
        book.computed[request] = int(position)
        book.fraction[request] = position - int(position)
        return position - before

    def _regroup(self) -> None:
        """Who yields a token decodes on in the set; who was left out is looked at again in the next call."""
        scheduler, book, batch = self.s, self.book, self.batch
        for request in (*self.scheduled, *(r for r, *_ in batch.admitted)):
            if book.computed[request] >= book.known[request] + book.inflight[request]:
                if book.state[request] == PREFILL and request in self.scheduled:
                    batch.firsts.append(request)
                book.inflight[request] = 0
                scheduler.yield_token(request, batch)
        batch.left_out = [request for request in self.order if book.state[request] == STARVED]

"""Engines that never mix: a step prefills new requests, or decodes all running ones, and prefill goes first.

While a prefill step runs nobody decodes. This is how vLLM scheduled before its second engine (0.6, without
chunked prefill): prompts are admitted whole, first come first served, while the token budget, seats and
blocks above the watermark last; a decode step that runs out of blocks preempts the youngest, to be
recomputed.

Source: vLLM 0.6, `core/scheduler.py` (`_schedule_default`).
"""

from sim.serving.batch import Batch
from sim.serving.kv_cache import MISS
from sim.serving.scheduler import Scheduler


class PrefillFirstScheduler(Scheduler):
    """vLLM before chunked prefill."""

    __slots__ = ()

    def schedule(self) -> Batch:
        """One call: a prefill-only step if anybody can be admitted, else a decode-only one."""
        batch = Batch(0, [0] * len(self.decoding.sums))
        self.prefill(batch)
        if not batch.chunks:
            return super().schedule()
        for request in batch.firsts:
            self.yield_token(request, batch)
        return batch

    def admit(self, batch: Batch, budget: int, cap: int) -> None:
        """Nobody joins a decode step."""

    def prefill(self, batch: Batch) -> None:
        """Whole prompts from the head of the queue while budget, seats and blocks last."""
        budget = self.budget
        self.blocked = False
        while self.waiting and budget > 0:
            request = self.waiting.head()
            known, table = self.book.known[request], self.book.table[request]
            hit = MISS if table is None else self.look_up(table, known)
            new = known - self.past(request, hit)
            if len(self.running) >= self.config.max_num_seqs or not self.has_room(request, hit, known):
                self.blocked = not batch.chunks
                return
            if new > budget:
                return
            self.waiting.take()
            budget -= new
            self.start(request, new, hit, batch)

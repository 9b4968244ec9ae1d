"""Stacks of compiled shapes: a step prefills chunks of at most `max_prefills` prompts, or decodes.

A prompt longer than the chunk is continued in the next steps before anybody else starts. Admission, as in
vLLM, asks for the blocks of the whole prompt.

Source: vllm-rbln's documentation (chunked prefill always on, prefill and decode never in one step, one
prompt at a time) and AWS Neuron's scheduler for vLLM (prefill and decode apart).
"""

from sim.serving.batch import Batch
from sim.serving.kv_cache import MISS
from sim.serving.prefill_first import PrefillFirstScheduler


class SeparateScheduler(PrefillFirstScheduler):
    """Chunks first, decodes otherwise, never both."""

    __slots__ = ()

    def prefill(self, batch: Batch) -> None:
        """The chunk that is under way, then prompts from the head of the queue."""
        budget, book = self.budget, self.book
        most = self.config.max_prefills or self.config.max_num_seqs
        self.blocked = False
        for request in self.prefilling:
            new = min(book.known[request] - book.computed[request], budget)
            if self.blocks_for(book.computed[request] + new) - book.blocks[request] > self.cache.free:
                return
            budget -= self.advance_prefill(request, new, batch)
        while self.waiting and budget > 0 and len(batch.chunks) < most:
            request = self.waiting.head()
            known, table = book.known[request], book.table[request]
            hit = MISS if table is None else self.look_up(table, known)
            if len(self.running) >= self.config.max_num_seqs or not self.has_room(request, hit, known):
                self.blocked = not batch.chunks
                return
            new = known - self.past(request, hit)
            if new > budget and not self.config.enable_chunked_prefill:
                return
            self.waiting.take()
            self.start(request, min(new, budget), hit, batch)
            budget -= min(new, budget)

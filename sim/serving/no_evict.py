"""TensorRT-LLM's GUARANTEED_NO_EVICT: nobody starts who could be interrupted.

A request is admitted if the blocks of its whole prompt and of every token it may generate fit beside those of
all who run:  Σ blocks(prompt + cap) ≤ blocks of the pool.  Otherwise its rules are those of inflight
batching: every running sequence decodes, prompts fill what is left of the token budget, first come first
served. The policy MAX_UTILIZATION, which admits by what is needed now and interrupts the youngest, is
`Scheduler` itself.

While others decode, prompts may be held back for `batch_wait_iters` steps, so that they run together: until
tokens of the held prompts + decodes ≥ `batch_wait_tokens`.

Source: TensorRT-LLM, `_torch/pyexecutor/py_executor.py` (`_waiting_requests`),
`batch_manager/capacityScheduler.cpp` and the runtime documentation of its policies.
"""

from itertools import islice

from sim.serving.batch import Batch, SchedulerConfig
from sim.serving.book import RequestBook
from sim.serving.kv_cache import MISS, Hit
from sim.serving.scheduler import Scheduler


class NoEvictScheduler(Scheduler):
    """Inflight batching without eviction.

    Attributes:
        promised: blocks that all running sequences hold once they have finished.
        held_for: steps for which prompts have been held back.
    """

    __slots__ = ("held_for", "promised")

    def __init__(self, config: SchedulerConfig, book: RequestBook, windows: tuple[int, ...] = ()) -> None:
        super().__init__(config, book, windows)
        self.promised = 0
        self.held_for = 0

    def admit(self, batch: Batch, budget: int, cap: int) -> None:
        """As `Scheduler.admit`, unless the waiting prompts are held back."""
        if self._holds_back(batch, budget):
            self.held_for += 1
            self.blocked = False  # every step counts
            return
        self.held_for = 0
        super().admit(batch, budget, cap)

    def _holds_back(self, batch: Batch, budget: int) -> bool:
        """Whether prompts that could run beside the decodes wait for more of them."""
        config, known = self.config, self.book.known
        if self.held_for >= config.batch_wait_iters or not batch.decodes or not self.waiting:
            return False
        head = self.waiting.head()
        if len(self.running) >= config.max_num_seqs or not self.has_room(head, MISS, known[head]):
            return False
        tokens = batch.decodes
        for request in islice(self.waiting.requests(), budget):
            tokens += known[request]
            if tokens >= config.batch_wait_tokens:
                return False
        return True

    def has_room(self, request: int, hit: Hit, tokens: int) -> bool:
        """Whether the request can run to its end beside everybody else."""
        return self.promised + self._at_end(request) <= self.cache.size

    def start(self, request: int, new: int, hit: Hit, batch: Batch) -> None:
        """Seats a request; its last block is promised to it."""
        self.promised += self._at_end(request)
        super().start(request, new, hit, batch)

    def deliver(self, batch: Batch, time: float) -> None:
        """As `Scheduler.deliver`; who finishes gives its promise back."""
        for request in batch.finishing:
            self.promised -= self._at_end(request)
        super().deliver(batch, time)

    def _at_end(self, request: int) -> int:
        return self.blocks_for(self.book.prompt[request] + self.book.cap[request])

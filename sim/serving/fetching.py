"""A scheduler whose requests may wait for KV cache that comes from elsewhere.

As in vLLM V1 with an asynchronous connector: at the head of the queue a request gets blocks for its whole
prompt, if they fit; while its cache is under way it holds no seat and nobody waits behind it; then it starts
before those who queue.
"""

from sim.serving.batch import Batch, SchedulerConfig
from sim.serving.book import FETCHING, RequestBook
from sim.serving.kv_cache import Hit
from sim.serving.scheduler import Scheduler


class FetchingScheduler(Scheduler):
    """Admits requests in two steps.

    Attributes:
        fetching: requests whose blocks are allocated and under way; fetched: those that may start.
    """

    __slots__ = ("fetched", "fetching")

    def __init__(self, config: SchedulerConfig, book: RequestBook, windows: tuple[int, ...] = ()) -> None:
        super().__init__(config, book, windows)
        self.fetching: set[int] = set()
        self.fetched: dict[int, None] = {}

    @property
    def idle(self) -> bool:
        """Nothing is waiting or running; what is still being fetched is neither."""
        return super().idle and not self.fetched

    def allocate(self, request: int, hit: Hit, past: int) -> bool:
        """Takes the head of the queue out and allocates blocks for all its known tokens, of which `past` are
        held somewhere; False if they do not fit."""
        book = self.book
        known = book.known[request]
        if self.blocks_for(known) > self.spare(hit):
            return False
        self.waiting.take()
        self.take_hit(request, hit, past)
        self.grow(request, known, hit.blocks * self.size)
        book.state[request] = FETCHING
        self.fetching.add(request)
        return True

    def fetch_ended(self, request: int, filled: int) -> None:
        """The cache of the first `filled` tokens is here."""
        self.fetching.remove(request)
        self.fetched[request] = None
        self.grow(request, filled, filled)

    def start_fetched(self, request: int, budget: int, cap: int, batch: Batch) -> int:
        """Seat a request whose cache is here; returns how many tokens it computes in this call."""
        raise NotImplementedError

    def horizon(self) -> int:
        """As a scheduler's, but a request that may start must be looked at."""
        if self.fetched and len(self.running) < self.config.max_num_seqs:
            return 0
        return super().horizon()

    def may_deliver_early(self) -> bool:
        """As a scheduler's; the seats matter to requests that may start."""
        return not self.fetched and super().may_deliver_early()

    def admit(self, batch: Batch, budget: int, cap: int) -> None:
        """Requests whose cache is here first: they hold their blocks already."""
        while self.fetched and budget > 0 and len(self.running) < self.config.max_num_seqs:
            request = next(iter(self.fetched))
            del self.fetched[request]
            budget -= self.start_fetched(request, budget, cap, batch)
        super().admit(batch, budget, cap)

    def requests(self) -> list[int]:
        """Everybody in it, those whose cache is fetched last."""
        return [*super().requests(), *sorted(self.fetching), *self.fetched]

    def load(self) -> tuple[int, int, int, int, int]:
        """As a scheduler's; requests whose cache is fetched count as waiting."""
        decodes, context, running, waiting, held = super().load()
        return decodes, context, running, waiting + len(self.fetching) + len(self.fetched), held

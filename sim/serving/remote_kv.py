"""Schedulers of disaggregated pools: one computes prompts and keeps their KV, the other fetches it.

After vLLM V1 with a pulling KV connector (NIXL):
- a prefill engine ends a request with its first token, and keeps its blocks until they have been read;
- a decode engine allocates the blocks of a prompt when the request is at the head of its queue and they fit
  (so a full decode pool holds requests back, and with them the blocks of the prefill pool), waits for the
  transfer without holding a seat or blocking those behind, and then decodes from the prompt's last token on:
  it makes the first token itself. Blocks that its own prefix cache holds are not fetched. A request that it
  preempts it computes again by itself.
"""

from collections.abc import Callable, Collection

from sim.serving.batch import Batch, SchedulerConfig
from sim.serving.book import FETCHING, PREFILL, RequestBook
from sim.serving.kv_cache import Hit
from sim.serving.scheduler import Scheduler


class PrefillScheduler(Scheduler):
    """Ends requests with their prefill; `kept` are those whose blocks have not been read yet."""

    __slots__ = ("kept",)

    def __init__(self, config: SchedulerConfig, book: RequestBook, windows: tuple[int, ...] = ()) -> None:
        super().__init__(config, book, windows)
        self.kept: set[int] = set()

    def let_go(self, request: int) -> None:
        """Its blocks stay."""
        self.kept.add(request)

    def release(self, request: int) -> None:
        """Its blocks have been read."""
        self.kept.remove(request)
        self.free_table(request, self.book.prompt[request])
        self.blocked = False


class DecodeScheduler(Scheduler):
    """Fetches the KV cache of the `remote` requests.

    Attributes:
        fetching: requests whose blocks are allocated and under way; fetched: those that may start.
        on_reserve: called with (request, tokens to fetch) when the blocks of a prompt are allocated.
    """

    __slots__ = ("fetched", "fetching", "on_reserve", "remote")

    def __init__(
        self,
        config: SchedulerConfig,
        book: RequestBook,
        windows: tuple[int, ...],
        remote: Collection[int],
        on_reserve: Callable[[int, int], None],
    ) -> None:
        super().__init__(config, book, windows)
        self.remote = remote
        self.on_reserve = on_reserve
        self.fetching: set[int] = set()
        self.fetched: dict[int, None] = {}

    @property
    def idle(self) -> bool:
        """Nothing is waiting or running; what is still being fetched is neither."""
        return super().idle and not self.fetched

    def reserve(self, request: int, hit: Hit) -> bool | None:
        """Allocates the prompt's blocks, if they fit; a request that was preempted is computed here."""
        book = self.book
        if request not in self.remote or book.preemptions[request]:
            return None
        prompt = book.prompt[request]
        if self.blocks_for(prompt) > self.spare(hit):
            return False
        self.waiting.take()
        past = hit.blocks * self.size
        table = book.table[request]
        if hit.blocks and table is not None:
            self.cache.acquire(table, hit)
            book.blocks[request] = hit.blocks
        book.cached_first[request] = past
        book.cached[request] += past
        self.grow(request, prompt, past)
        book.state[request] = FETCHING
        self.fetching.add(request)
        self.on_reserve(request, prompt - past)
        return True

    def arrive(self, request: int) -> None:
        """The prompt's KV is here: the request starts as soon as it gets a seat."""
        self.fetching.remove(request)
        self.fetched[request] = None
        prompt = self.book.prompt[request]
        self.grow(request, prompt, prompt - 1)

    def horizon(self) -> int:
        """As a scheduler's, but a request that may start must be looked at."""
        if self.fetched and len(self.running) < self.config.max_num_seqs:
            return 0
        return super().horizon()

    def may_deliver_early(self) -> bool:
        """As a scheduler's; the seats matter to requests that may start."""
        return not self.fetched and super().may_deliver_early()

    def admit(self, batch: Batch, budget: int, cap: int) -> None:
        """Requests whose KV is here first: they hold their blocks already."""
        while self.fetched and budget > 0 and len(self.running) < self.config.max_num_seqs:
            self._start_fetched(next(iter(self.fetched)), batch)
            budget -= 1
        super().admit(batch, budget, cap)

    def _start_fetched(self, request: int, batch: Batch) -> None:
        """The request decodes in this call, from its prompt's last token on."""
        book = self.book
        del self.fetched[request]
        self.admissions += 1
        book.order[request] = self.admissions
        book.state[request] = PREFILL
        context = book.computed[request] = book.prompt[request]
        self.running[request] = None
        batch.decodes += 1
        batch.sums[0] += context
        for j, window in enumerate(self.decoding.windows, 1):
            batch.sums[j] += min(context, window)
        batch.firsts.append(request)
        batch.admitted.append((request, 1, context - 1, False))

    def requests(self) -> list[int]:
        """Everybody in it, those whose KV is fetched last."""
        return [*super().requests(), *sorted(self.fetching), *self.fetched]

    def load(self) -> tuple[int, int, int, int, int]:
        """As a scheduler's; requests whose KV is fetched count as waiting."""
        decodes, context, running, waiting, held = super().load()
        return decodes, context, running, waiting + len(self.fetching) + len(self.fetched), held

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
from sim.serving.book import PREFILL, RequestBook
from sim.serving.fetching import FetchingScheduler
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


class DecodeScheduler(FetchingScheduler):
    """Fetches the KV cache of the `remote` requests.

    Attributes:
        on_reserve: called with (request, tokens to fetch) when the blocks of a prompt are allocated.
    """

    __slots__ = ("on_reserve", "remote")

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

    def reserve(self, request: int, hit: Hit) -> bool | None:
        """Allocates the prompt's blocks, if they fit; a request that was preempted is computed here."""
        book = self.book
        if request not in self.remote or book.preemptions[request]:
            return None
        past = hit.blocks * self.size
        if not self.allocate(request, hit, past):
            return False
        self.on_reserve(request, book.prompt[request] - past)
        return True

    def arrive(self, request: int) -> None:
        """The prompt's KV is here: the request starts as soon as it gets a seat."""
        prompt = self.book.prompt[request]
        self.fetch_ended(request, prompt - 1)

    def start_fetched(self, request: int, budget: int, cap: int, batch: Batch) -> int:
        """The request decodes in this call, from its prompt's last token on."""
        book = self.book
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
        return 1

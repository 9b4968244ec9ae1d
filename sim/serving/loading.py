"""A scheduler that loads what lower tiers hold of a prompt before it computes the rest.

After vLLM V1 with its native offloading connector, LMCache and other connectors of the same interface: what
the chips do not hold of a prompt and the tiers do is loaded while others run; the last token of a prompt is
always computed. Blocks are allocated for the whole prompt, those that are computed later included, so that
whoever has loaded can start.
"""

from functools import partial

from sim.serving.batch import Batch
from sim.serving.fetching import FetchingScheduler
from sim.serving.kv_cache import Hit


class LoadingScheduler(FetchingScheduler):
    """Fetches from its lower tiers; also a request that was preempted, what was written of it."""

    __slots__ = ()

    def reserve(self, request: int, hit: Hit) -> bool | None:
        """Begins to load, if a tier holds more than the hit and the prompt's blocks fit."""
        table = self.book.table[request]
        if self.tiers is None or table is None:
            return None
        held = self.tiers.reach(table.path, hit.blocks, self.most_cached(request))
        if held <= hit.blocks:
            return None
        if not self.allocate(request, hit, held * self.size):
            return False
        loaded = self.tiers.load(request, table.path, hit.blocks, held)
        self.tiers.expect(loaded, partial(self._loaded, request, held * self.size))
        return True

    def _loaded(self, request: int, past: int) -> None:
        self.book.computed[request] = past
        self.fetch_ended(request, past)

    def start_fetched(self, request: int, budget: int, cap: int, batch: Batch) -> int:
        """It computes what was not loaded."""
        past = self.book.computed[request]
        rest = self.book.known[request] - past
        new = min(rest, cap or rest, budget)
        self.seat(request, past, new, batch)
        return new

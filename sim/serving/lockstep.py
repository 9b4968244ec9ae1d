"""Attention data parallelism of a MoE: ranks with their own scheduler and KV cache, one step for all.

    step time = max over ranks of the rank's own part + the part all ranks share (experts and their exchange
    on the tokens of all ranks)

Every rank takes part in every step, with a dummy batch if it has nothing to do. A new request goes to the
rank with the smallest 4·waiting + running, as vLLM's data-parallel balancer does
(`v1/engine/core_client.py`).
"""

from collections.abc import Sequence
from math import ceil

from sim.serving.ahead import State, time_ahead
from sim.serving.batch import Batch
from sim.serving.engine import Engine, Steppable
from sim.serving.scheduler import Scheduler
from sim.timing.surface_protocol import Surface


class LockstepRanks:
    """The ranks of one replica as one thing that an engine drives.

    Attributes:
        waited: (first, slope) of what was priced last: how much longer than the mean rank's own part the
            slowest rank's takes.
    """

    __slots__ = ("queries", "rank_of", "ranks", "waited")

    def __init__(self, ranks: list[Scheduler]) -> None:
        self.ranks = ranks
        self.queries = ranks[0].queries
        self.rank_of: dict[int, Scheduler] = {}
        self.waited = (0.0, 0.0)

    @property
    def idle(self) -> bool:
        """Nothing is waiting or running on any rank."""
        return all(rank.idle for rank in self.ranks)

    @property
    def seated(self) -> int:
        """Sequences that run, over the ranks."""
        return sum(len(rank.running) for rank in self.ranks)

    def submit(self, request: int) -> None:
        """The request enters the least loaded rank's queue; the first of equals."""
        rank = min(self.ranks, key=lambda r: 4 * r.queued + len(r.running))
        self.rank_of[request] = rank
        rank.submit(request)

    def horizon(self) -> int:
        """The shortest horizon of the ranks that have work."""
        return min((rank.horizon() for rank in self.ranks if not rank.idle), default=0)

    def segment(self, surface: Surface) -> tuple[float, float, int]:
        """The slowest rank's straight segment up to where another rank becomes the slowest."""
        decoding = [rank.decoding for rank in self.ranks]
        states = [(d.count, d.sums, d.growth) for d in decoding]
        lines = _lines(states, surface)
        first, slope, steps = _slowest(lines)
        ranks = len(self.ranks)
        self.waited = (
            first - sum(own for own, _, _ in lines) / ranks,
            slope - sum(own for _, own, _ in lines) / ranks,
        )
        return first + self._shared(states, surface), slope, steps

    def ahead(self, ticks: int, surface: Surface) -> float:
        """Duration of the next `ticks` decode-only steps, within the horizon; changes nothing."""

        def line(states: list[State]) -> tuple[float, float, int]:
            first, slope, steps = _slowest(_lines(states, surface))
            return first + self._shared(states, surface), slope, steps

        return time_ahead([rank.decoding for rank in self.ranks], ticks, line)

    def _shared(self, states: list[State], surface: Surface) -> float:
        """The part of all ranks together."""
        return surface.shared(self.queries * sum(n for n, _, _ in states))

    def leap(self, ticks: int) -> list[int]:
        """`ticks` calls on every rank that has work."""
        return [request for rank in self.ranks if not rank.idle for request in rank.leap(ticks)]

    def schedule(self) -> Batch:
        """One call on every rank that has work, as one batch."""
        batch = Batch(0, [0] * len(self.ranks[0].decoding.sums))
        batch.ranks = [
            Batch(0, rank.decoding.sums.copy()) if rank.idle else rank.schedule() for rank in self.ranks
        ]
        for part in batch.ranks:
            batch.decodes += part.decodes
            batch.yielded += part.yielded
            batch.sums = [a + b for a, b in zip(batch.sums, part.sums, strict=True)]
            batch.chunks += part.chunks
            batch.admitted += part.admitted
            batch.preempted = [*batch.preempted, *part.preempted]
            batch.firsts += part.firsts
            batch.finishing = [*batch.finishing, *part.finishing]
            batch.left_out = [*batch.left_out, *part.left_out]
            batch.until = max(batch.until, part.until)
        return batch

    def price(self, batch: Batch, surface: Surface) -> float:
        """The slowest rank's part and the shared part."""
        tokens = batch.decodes * self.queries + sum(new for new, _ in batch.chunks)
        slowest = whole = 0.0
        for part, rank in zip(batch.ranks, self.ranks, strict=True):
            if part.chunks:
                own = surface.rank_mixed(part.decodes, part.sums, part.chunks)
            elif part.decodes:
                own = surface.rank_segment(part.decodes, part.sums, rank.decoding.growth)[0]
            else:
                continue
            slowest = max(slowest, own)
            whole += own
        self.waited = slowest - whole / len(self.ranks), 0.0
        return slowest + surface.shared(tokens)

    def deliver(self, batch: Batch, time: float) -> None:
        """Each rank gets what is its own."""
        rank_of = self.rank_of
        for rank in self.ranks:

            def own(requests: Sequence[int], rank: Scheduler = rank) -> list[int]:
                return [request for request in requests if rank_of[request] is rank]

            part = Batch(0, [], own(batch.finishing))
            part.firsts, part.late = own(batch.firsts), own(batch.late)
            rank.deliver(part, time)
        for request in batch.finishing:
            del rank_of[request]

    def tokens(self, ticks: int) -> int:
        """Tokens that the present decodes' next `ticks` steps yield, within the horizon."""
        return sum(rank.tokens(ticks) for rank in self.ranks if not rank.idle)

    def may_deliver_early(self) -> bool:
        """Whether no rank can tell if sequences finish before or after its next call."""
        return all(rank.may_deliver_early() for rank in self.ranks)

    def load(self) -> tuple[int, int, int, int, int]:
        """(decodes, Σ context of their next step, running, waiting, blocks held), over the ranks."""
        loads = [rank.load() for rank in self.ranks]
        decodes, context, running, waiting, held = (sum(column) for column in zip(*loads, strict=True))
        return decodes, context, running, waiting, held


def ranks_of(unit: Steppable) -> list[Scheduler]:
    """The schedulers that an engine drives."""
    assert isinstance(unit, Scheduler | LockstepRanks)
    return unit.ranks if isinstance(unit, LockstepRanks) else [unit]


def everybody_in(engine: Engine) -> list[int]:
    """The requests that run or wait in an engine, then those in its front end."""
    here = [request for rank in ranks_of(engine.scheduler) for request in rank.requests()]
    return [*here, *engine.newcomers()]


def _lines(states: list[State], surface: Surface) -> list[tuple[float, float, int]]:
    """The straight segment of each rank that decodes."""
    return [surface.rank_segment(n, sums, growth) for n, sums, growth in states if n]


def _slowest(lines: list[tuple[float, float, int]]) -> tuple[float, float, int]:
    """max over ranks of straight lines, as the line of the present maximum and how long it stays it."""
    first, slope, steps = max(lines)
    for other_first, other_slope, length in lines:
        steps = min(steps, length)
        if other_slope > slope:
            steps = min(steps, max(1, ceil((first - other_first) / (other_slope - slope))))
    return first, slope, steps

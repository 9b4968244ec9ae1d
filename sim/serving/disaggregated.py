"""Serving with prompts computed in one pool of engines and answers in another.

    arrival → prefill engine → blocks allocated in a decode engine → KV transfer → decode engine

Layer by layer a prompt goes to a prefill engine when its blocks are allocated in a decode engine, so that
layers can be sent while it is computed (as SGLang's handshake does); otherwise a decode engine is looked for
when the prompt is done (as vLLM's pulling connectors do). Prompts of at most `local_tokens` are computed by
the decode engine itself (Dynamo's conditional disaggregation). First tokens come from the decode engine.

Every pool's engines are servers of their own, so a request passes two front ends on its way; layer by layer
it is sent to both at once, and what the prefill engine's takes is hidden by the decode engine's.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import inf

import numpy as np

from sim.serving.book import REFUSED
from sim.serving.clock import Clock
from sim.serving.engine import Engine
from sim.serving.fleet_config import FleetConfig, engine_of
from sim.serving.followers import Followers
from sim.serving.invariants import check_run, checks_wanted
from sim.serving.kv_transfer import KvMoves, KvTransfer
from sim.serving.lockstep import ranks_of
from sim.serving.outcome import book_of, recomputes, remarks, request_table, times
from sim.serving.records import FINISHED, UNFINISHED, RequestTable, RunResult
from sim.serving.remote_kv import DecodeScheduler, PrefillScheduler
from sim.serving.routers import PresentReplicas, Router, make_router
from sim.serving.tape import RunTape, end_of, segments, series
from sim.serving.watched import WatchedEngines
from sim.timing.surface_protocol import Surface
from sim.workload.requests import Requests
from sim.workload.streams import stream


@dataclass(frozen=True, slots=True)
class Pool:
    """One pool: its replicas, the prices of their steps, and the chips of an attention-dp rank."""

    config: FleetConfig
    surface: Surface
    rank_chips: int

    @property
    def links(self) -> int:
        """Ranks of all replicas; each has a link of its own."""
        return self.config.replicas * self.config.ranks


@dataclass(frozen=True, slots=True)
class PoolResults:
    """A run as a whole, and each pool's steps with its requests as that pool saw them.

    Attributes:
        whole: replicas are the decode pool's, then the prefill pool's.
        prefill: its requests are those it computed; their first token is the end of their prefill.
    """

    whole: RunResult
    decode: RunResult
    prefill: RunResult


def serve_disaggregated(
    requests: Requests, prefill: Pool, decode: Pool, transfer: KvTransfer, *, step_by_step: bool = False
) -> PoolResults:
    """Serve every request; deterministic.

    Args:
        step_by_step: take every schedule call on its own (for tests; same records to rounding).
    """
    run = _Run(requests, prefill, decode, transfer, step_by_step)
    run.run()
    return run.result()


class _Run:
    def __init__(
        self, requests: Requests, prefill: Pool, decode: Pool, transfer: KvTransfer, step_by_step: bool
    ) -> None:
        self.requests = requests
        self.pools = decode, prefill
        self.clock = Clock()
        self.transfer = transfer
        self.happened: deque[Callable[[], None]] = deque()
        self.remote = set(np.flatnonzero(requests.prompt_tokens > transfer.local_tokens).tolist())
        first_token_only = replace(requests, output_tokens=np.ones(len(requests), np.int64))
        self.prompts = book_of(first_token_only, prefill.config.scheduler, prefill.config.seed)
        self.answers = book_of(requests, decode.config.scheduler, decode.config.seed)
        self.tapes = [RunTape() for _ in range(decode.config.replicas + prefill.config.replicas)]
        self.keepers: list[list[PrefillScheduler]] = []
        self.prefill = self._watched(self._prefill_engines(prefill), self._has_work)
        self.decode = self._watched(self._decode_engines(decode), self._is_waited_for)
        for engine in (*self.prefill.engines, *self.decode.engines):
            engine.step_by_step = step_by_step
        self.to_prefill = self._router(prefill, self.prefill)
        self.to_decode = self._router(decode, self.decode)
        self.prefill_of = [0] * len(requests)
        self.decode_of = [0] * len(requests)
        capacity = [transfer.bandwidth * pool.rank_chips for pool in self.pools for _ in range(pool.links)]
        self.moves = KvMoves(self.clock, transfer, capacity, self._arrived)
        self.computed: list[float | None] = [None] * len(requests)
        self.arrived: list[float | None] = [None] * len(requests)
        self.backlog = iter(range(len(requests)))
        self.followers = Followers(requests.follows, len(requests))

    def _watched(self, engines: list[Engine], wanted: Callable[[Engine], bool]) -> WatchedEngines:
        return WatchedEngines(self.clock, engines, self.happened, wanted)

    def _router(self, pool: Pool, watched: WatchedEngines) -> Router:
        draw = stream(pool.config.seed, "router", self.pools.index(pool)).random
        return make_router(pool.config.router, PresentReplicas(watched.engines, draw, self.requests.pieces))

    def _prefill_engines(self, pool: Pool) -> list[Engine]:
        engines: list[Engine] = []
        config, windows = pool.config.scheduler, pool.surface.windows
        for replica in range(pool.config.replicas):
            ranks = [PrefillScheduler(config, self.prompts, windows) for _ in range(pool.config.ranks)]
            self.keepers.append(ranks)
            tape = self.tapes[self.pools[0].config.replicas + replica]
            front_end = None if self.transfer.layerwise else pool.config.make_front_end()
            engine = engine_of(ranks, pool.surface, tape, front_end)
            engine.on_start = partial(self._tell_start, replica)
            engine.on_finish = self._tell_computed
            engines.append(engine)
        return engines

    def _decode_engines(self, pool: Pool) -> list[Engine]:
        engines: list[Engine] = []
        config, windows = pool.config.scheduler, pool.surface.windows
        for replica in range(pool.config.replicas):
            ranks = [
                DecodeScheduler(
                    config, self.answers, windows, self.remote, partial(self._tell_reserved, replica, rank)
                )
                for rank in range(pool.config.ranks)
            ]
            engine = engine_of(ranks, pool.surface, self.tapes[replica], pool.config.make_front_end())
            engine.on_finish = self._tell_finished
            engines.append(engine)
        return engines

    def _has_work(self, engine: Engine) -> bool:
        return not engine.idle or bool(engine.flight)

    def _is_waited_for(self, engine: Engine) -> bool:
        """A full decode engine holds others back; in a closed loop, or where requests follow others, every
        answer lets the next in."""
        if self.requests.concurrency is not None or self.requests.follows is not None:
            return self._has_work(engine)
        return engine.at_the_door > 0 or any(
            rank.waiting or (isinstance(rank, DecodeScheduler) and rank.fetched)
            for rank in ranks_of(engine.scheduler)
        )

    # -- what engines tell --------------------------------------------------------------------------------

    def _tell_start(self, replica: int, request: int, time: float) -> None:
        rank = next(i for i, rank in enumerate(self.keepers[replica]) if request in rank.running)
        link = self.pools[0].links + replica * self.pools[1].config.ranks + rank
        self.happened.append(partial(self.moves.starts, request, link, time))

    def _tell_computed(self, request: int, time: float) -> None:
        self.happened.append(partial(self._computed, request, time))

    def _tell_reserved(self, replica: int, rank: int, request: int, tokens: int) -> None:
        link, now = replica * self.pools[0].config.ranks + rank, self.decode.engines[replica].now
        self.happened.append(partial(self._reserved, request, link, tokens, now))

    def _tell_finished(self, request: int, time: float) -> None:
        if self.requests.follows is not None:
            self.happened.append(partial(self._ended, request, time))
        elif self.requests.concurrency is not None:
            self.happened.append(partial(self._enter_next, time))

    # -- what then happens --------------------------------------------------------------------------------

    def _enter_next(self, time: float) -> None:
        """The next request of a closed loop that is not refused."""
        for request in self.backlog:
            self.prompts.arrival[request] = time
            if self._refused(request):
                continue
            self._enter(request, time)
            return

    def _arrive(self, time: float) -> None:
        """The next request of an open loop, and the clock set for the one after it."""
        for request in self.backlog:
            if self._refused(request):
                continue
            arrival = self.prompts.arrival[request]
            self.clock.at(arrival, partial(self._arrive_one, request))
            return

    def _arrive_one(self, request: int, time: float) -> None:
        self._enter(request, time)
        self.prefill.settle()
        self._arrive(time)

    def _ended(self, request: int, time: float) -> None:
        """Those who waited for this request come a pause later."""
        for follower, arrival in self.followers.released(request, time):
            self.prompts.arrival[follower] = arrival
            self.clock.at(arrival, partial(self._follow, follower))

    def _follow(self, request: int, time: float) -> None:
        if self._refused(request):
            self._ended(request, time)
        else:
            self._enter(request, time)
        self.prefill.settle()

    def _refused(self, request: int) -> bool:
        if REFUSED not in (self.prompts.state[request], self.answers.state[request]):
            return False
        self.answers.state[request] = REFUSED
        return True

    def _enter(self, request: int, time: float) -> None:
        if request in self.remote and not self.transfer.layerwise:
            self._to_prefill(request, time)
        else:
            self._to_decode(request, time)

    def _reserved(self, request: int, link: int, tokens: int, time: float) -> None:
        self.moves.reserved(request, link, tokens, time)
        if self.transfer.layerwise:
            self._to_prefill(request, time)

    def _to_prefill(self, request: int, time: float) -> None:
        if self.to_prefill.looks:
            self.prefill.advance_all(time)
        place = self.prefill_of[request] = self.to_prefill.choose(request)
        self.prefill.touch(place, time, lambda engine: engine.submit(request, time))

    def _computed(self, request: int, time: float) -> None:
        self.computed[request] = time
        self.moves.computed(request, time)
        if not self.transfer.layerwise:
            self._to_decode(request, time)

    def _to_decode(self, request: int, time: float) -> None:
        self.answers.arrival[request] = time
        if self.to_decode.looks:
            self.decode.advance_all(time)
        place = self.decode_of[request] = self.to_decode.choose(request)
        self.decode.touch(place, time, lambda engine: engine.submit(request, time))

    def _arrived(self, request: int, time: float) -> None:
        """The cache is where it is needed: the answer may begin, and the prefill engine's blocks are free."""
        self.arrived[request] = time
        self.decode.touch(self.decode_of[request], time, partial(_start, request, time))
        self.prefill.touch(self.prefill_of[request], time, partial(_release, request, time))
        self.decode.settle()

    def run(self) -> None:
        """Until nothing is left to do."""
        if self.requests.follows is not None:
            for request in self.followers.first:
                self.clock.at(self.prompts.arrival[request], partial(self._follow, request))
        elif self.requests.concurrency is None:
            self._arrive(0.0)
        else:
            for _ in range(self.requests.concurrency):
                self._enter_next(0.0)
            self.prefill.settle()
        self.clock.run()
        for engine in (*self.prefill.engines, *self.decode.engines):
            engine.advance(inf)

    # -- the result ---------------------------------------------------------------------------------------

    def result(self) -> PoolResults:
        """The records of the run."""
        decode, prefill = (pool.config for pool in self.pools)
        rows = [tape.rows() for tape in self.tapes]
        for place in range(decode.replicas, len(rows)):
            rows[place] = rows[place].copy()
            rows[place]["yielded"] = 0  # the decode engine gives the first token too
        duration = end_of(rows)
        table = self._table()
        engines = (*self.decode.engines, *self.prefill.engines)
        blocks = sum(c.replicas * c.ranks * c.scheduler.num_blocks for c in (decode, prefill))
        result = RunResult(
            requests=table,
            series=series(rows, duration, blocks),
            segments=segments(rows),
            duration=duration,
            steps=sum(engine.steps for engine in engines),
            replicas=decode.replicas + prefill.replicas,
            chips=decode.replicas * decode.chips + prefill.replicas * prefill.chips,
            kv_blocks=decode.scheduler.num_blocks,
            block_size=decode.scheduler.block_size,
            end_reason="all_done" if all(engine.idle for engine in engines) else "stuck",
            clients=self.requests.clients,
            notes=(*remarks(self.requests, table, decode.scheduler.max_model_len), *self._notes()),
            recomputes=recomputes(self.answers),
        )
        if checks_wanted():
            check_run(result, engines)
        return PoolResults(
            result,
            replace(
                result,
                segments=segments(rows[: decode.replicas]),
                replicas=decode.replicas,
                chips=decode.replicas * decode.chips,
            ),
            replace(
                result,
                requests=self._prompts_table(table),
                segments=segments(rows[decode.replicas :]),
                replicas=prefill.replicas,
                chips=prefill.replicas * prefill.chips,
                recomputes=recomputes(self.prompts),
            ),
        )

    def _prompts_table(self, table: RequestTable) -> RequestTable:
        """The requests as the prefill pool saw them: finished with their prefill."""
        computed = times(self.computed)
        status = np.where(np.isfinite(computed), FINISHED, UNFINISHED).astype(np.int8)
        return replace(
            table,
            first_token=computed,
            finish=computed,
            output_tokens=np.isfinite(computed).astype(np.int64),
            replica=np.array(self.prefill_of, np.int64),
            status=status,
        )

    def _table(self) -> RequestTable:
        table = request_table(self.requests, self.answers, self.decode_of)
        away = np.zeros(len(self.requests), np.bool_)
        away[list(self.remote)] = True
        first_got = self.answers if self.transfer.layerwise else self.prompts
        return replace(
            table,
            arrival=np.array(self.prompts.arrival, np.float64),
            received=np.where(away, times(first_got.received), table.received),
            scheduled=np.where(away, times(self.prompts.scheduled), table.scheduled),
            cached_tokens=np.where(away, np.array(self.prompts.cached_first), table.cached_tokens),
            preemptions=table.preemptions + np.array(self.prompts.preemptions),
            prefilled=times(self.computed),
            kv_transfer=times(self.arrived) - times(self.computed),
        )

    def _notes(self) -> tuple[str, ...]:
        """How much was moved, and how long requests waited for it."""
        waited = times(self.arrived) - times(self.computed)
        waited = waited[np.isfinite(waited)]
        if not len(waited):
            return ()
        mean, late = 1e3 * waited.mean(), 1e3 * np.quantile(waited, 0.99)
        decode, prefill = (f"{p.config.replicas} replicas of {p.config.chips} chips" for p in self.pools)
        return (
            f"Prompts are computed on {prefill}, answers on {decode}.",
            f"KV caches of {len(waited):,} prompts moved, {self.moves.moved / 1e9:,.1f} GB in all; from a "
            f"prompt's end to its cache in the decode engine: mean {mean:.3g} ms, 99 % within {late:.3g} ms.",
        )


def _start(request: int, time: float, engine: Engine) -> None:
    for rank in ranks_of(engine.scheduler):
        if isinstance(rank, DecodeScheduler) and request in rank.fetching:
            engine.wake(time)
            rank.arrive(request)


def _release(request: int, time: float, engine: Engine) -> None:
    for rank in ranks_of(engine.scheduler):
        if isinstance(rank, PrefillScheduler) and request in rank.kept:
            engine.wake(time)
            rank.release(request)

"""Serving a workload on replicas: requests in, a `RunResult` out.

Under a router that looks at no state and open-loop load the replicas never meet, and each runs on its own
from its first request to its last. Otherwise one SimPy clock couples them: replicas are advanced, lazily, to
each routing decision, and under closed-loop load to each finish. Where requests follow others, each end lets
the next in.
"""

from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from math import inf, nextafter
from typing import TYPE_CHECKING, cast

from sim.deployment.deployment import Deployment, FrontEndCosts
from sim.deployment.memory import MemoryMap
from sim.serving.batch import SchedulerConfig, SchedulerRules
from sim.serving.book import REFUSED
from sim.serving.clock import Clock
from sim.serving.engine import Engine
from sim.serving.followers import Followers
from sim.serving.front_end import FrontEnd
from sim.serving.invariants import check_run, checks_wanted
from sim.serving.lockstep import LockstepRanks
from sim.serving.outcome import book_of, recomputes, remarks, request_table
from sim.serving.records import RunResult
from sim.serving.routers import Replicas, Router, RouterName, make_router
from sim.serving.schedulers import make_scheduler
from sim.serving.tape import RunTape, segments, series, spent
from sim.serving.watched import WatchedEngines
from sim.timing.surface_protocol import Surface
from sim.workload.requests import Requests

if TYPE_CHECKING:
    import simpy


@dataclass(frozen=True, slots=True)
class FleetConfig:
    """Replicas of one kind: `ranks` attention-dp ranks each step in lockstep, `chips` chips a replica; `seed`
    is that of what serving draws (which drafts are accepted). Each has a server in front of it that costs
    `front_end` a request."""

    scheduler: SchedulerConfig
    replicas: int = 1
    ranks: int = 1
    router: RouterName = "round_robin"
    chips: int = 1
    seed: int = 0
    front_end: FrontEndCosts | None = None

    def make_front_end(self) -> FrontEnd | None:
        """A replica's front end; None where it costs nothing."""
        costs = self.front_end
        return None if costs is None or costs == FrontEndCosts() else FrontEnd(costs)


def serve(
    deployment: Deployment,
    memory: MemoryMap,
    requests: Requests,
    surface: Surface,
    router: RouterName = "round_robin",
    seed: int = 0,
) -> RunResult:
    """Serve every request on a deployment's replicas; deterministic.

    Args:
        memory: where the KV blocks of an attention-dp rank come from; one of them is vLLM's null block.
        surface: prices of one replica's steps, in seconds.
        seed: of what serving draws.
    """
    return serve_fleet(requests, surface, fleet_config(deployment, memory, router, seed))


def fleet_config(
    deployment: Deployment, memory: MemoryMap, router: RouterName = "round_robin", seed: int = 0
) -> FleetConfig:
    """What the replicas of a deployment are; arguments as `serve`."""
    engine, parallel, speculation = deployment.engine, deployment.parallel, deployment.speculation
    scheduler = SchedulerConfig(
        block_size=engine.block_size,
        num_blocks=memory.kv_blocks - 1,
        sequence_blocks=memory.sequence_blocks,
        max_model_len=engine.max_model_len,
        max_num_batched_tokens=engine.max_num_batched_tokens,
        max_num_scheduled_tokens=engine.max_num_batched_tokens,
        max_num_seqs=engine.max_num_seqs,
        enable_chunked_prefill=engine.enable_chunked_prefill,
        enable_prefix_caching=engine.enable_prefix_caching,
        async_scheduling=engine.async_scheduling,
        priority=engine.policy == "priority",
        watermark_blocks=int(engine.watermark * memory.kv_blocks),
        scheduler_reserve_full_isl=engine.scheduler_reserve_full_isl,
        long_prefill_token_threshold=engine.long_prefill_token_threshold,
        acceptance=() if speculation is None else speculation.acceptance,
        recompute_last_block=speculation is not None and speculation.shares_weights,
        rules=cast("SchedulerRules", engine.scheduler),
        recv_interval=engine.scheduler_recv_interval,
        max_prefills=engine.max_prefills_per_step,
        batch_wait_iters=engine.batch_wait_timeout_iters,
        batch_wait_tokens=engine.batch_wait_max_tokens_ratio * engine.max_num_batched_tokens,
    )
    ranks = deployment.lockstep_ranks
    apart = parallel.dp // ranks
    return FleetConfig(
        scheduler,
        replicas=deployment.replicas * apart,
        ranks=ranks,
        router=router,
        chips=parallel.chips // apart,
        seed=seed,
        front_end=deployment.host.front_end,
    )


def serve_fleet(
    requests: Requests, surface: Surface, config: FleetConfig, *, step_by_step: bool = False
) -> RunResult:
    """Serve every request on replicas given by their scheduler's limits alone.

    Args:
        surface: prices of one replica's steps, in seconds.
        step_by_step: take every schedule call on its own (for tests; same records to rounding).
    """
    fleet = _Fleet(requests, surface, config, step_by_step)
    fleet.run()
    return fleet.result()


class _Fleet:
    def __init__(self, requests: Requests, surface: Surface, config: FleetConfig, step_by_step: bool) -> None:
        self.requests = requests
        self.config = config
        self.book = book_of(requests, config.scheduler, config.seed)
        self.tapes = [RunTape() for _ in range(config.replicas)]
        self.engines = [self._engine(surface, tape, step_by_step) for tape in self.tapes]
        self.router: Router = make_router(config.router, Replicas(self.engines, requests.pieces))
        self.replica: list[int] = [0] * len(requests)

    def _engine(self, surface: Surface, tape: RunTape, step_by_step: bool) -> Engine:
        config = self.config.scheduler
        ranks = [make_scheduler(config, self.book, surface.windows) for _ in range(self.config.ranks)]
        unit = ranks[0] if len(ranks) == 1 else LockstepRanks(ranks)
        depth = 2 if config.async_scheduling else 1
        return Engine(
            unit,
            self.book,
            surface,
            tape,
            depth=depth,
            step_by_step=step_by_step,
            front_end=self.config.make_front_end(),
        )

    def run(self) -> None:
        if self.requests.follows is not None:
            self._run_following()
        elif self.requests.concurrency is not None:
            self._run_closed(self.requests.concurrency)
        elif not self.router.looks:
            self._run_apart()
        else:
            self._run_together()
        for engine in self.engines:
            engine.advance(inf)

    def _run_apart(self) -> None:
        """Each replica on its own, from its first request to its last."""
        arrival, state, count = self.book.arrival, self.book.state, self.config.replicas
        for index, engine in enumerate(self.engines):
            advance, submit = engine.advance, engine.submit
            for request in range(index, len(arrival), count):
                self.replica[request] = index
                if state[request] != REFUSED:
                    time = arrival[request]
                    advance(time)
                    submit(request, time)
            advance(inf)

    def _run_together(self) -> None:
        """Open-loop arrivals on one clock; all replicas are brought to each routing decision."""
        import simpy

        env = simpy.Environment()
        env.process(self._arrivals(env))
        env.run()

    def _arrivals(self, env: "simpy.Environment") -> Generator["simpy.Event", object, None]:
        for request, time in enumerate(self.book.arrival):
            if time > env.now:
                yield env.timeout(time - env.now)
            self._route(request, time)

    def _route(self, request: int, time: float) -> None:
        if self.book.state[request] == REFUSED:
            return
        if self.router.looks:
            for engine in self.engines:
                engine.advance(time)
        replica = self.router.choose(request)
        self.replica[request] = replica
        self.engines[replica].advance(time)
        self.engines[replica].submit(request, time)

    def _run_closed(self, concurrency: int) -> None:
        """A finished request makes room for the next, at the time it finishes."""
        import simpy

        env = simpy.Environment()
        backlog = iter(range(len(self.requests)))
        finished: list[float] = []
        for engine in self.engines:
            engine.on_finish = lambda _request, time: finished.append(time)

        def enter(time: float) -> None:
            for request in backlog:
                self.book.arrival[request] = time
                if self.book.state[request] != REFUSED:
                    self._route(request, time)
                    return

        def changes() -> Generator["simpy.Event", object, None]:
            for _ in range(concurrency):
                enter(0.0)
            while (time := min(engine.next_change() for engine in self.engines)) < inf:
                if time > env.now:
                    yield env.timeout(time - env.now)
                for engine in self.engines:
                    engine.advance(time)
                if not finished:  # nobody enters any more at this instant: make the calls that are due now
                    for engine in self.engines:
                        engine.advance(nextafter(time, inf))
                for _ in range(len(finished)):
                    enter(finished.pop(0))

        env.process(changes())
        env.run()

    def _run_following(self) -> None:
        """Open arrivals, and those that come when others are answered."""
        clock, happened = Clock(), deque[Callable[[], None]]()
        followers = Followers(self.requests.follows, len(self.requests))
        watched = WatchedEngines(clock, self.engines, happened, lambda engine: engine.next_change() < inf)

        def ended(request: int, time: float) -> None:
            for follower, arrival in followers.released(request, time):
                self.book.arrival[follower] = arrival
                clock.at(arrival, partial(enter, follower))

        def enter(request: int, time: float) -> None:
            if self.book.state[request] == REFUSED:
                ended(request, time)
            else:
                self._route(request, time)
                watched.watch(self.replica[request])
            watched.settle()

        for engine in self.engines:
            engine.on_finish = lambda request, time: happened.append(partial(ended, request, time))
        for request in followers.first:
            clock.at(self.book.arrival[request], partial(enter, request))
        clock.run()

    def result(self) -> RunResult:
        """The records of the run."""
        rows = [tape.rows() for tape in self.tapes]
        table = request_table(self.requests, self.book, self.replica)
        ends = [float(r["start"][-1] + spent(r[-1:])[0]) for r in rows if len(r)]
        duration = max(ends, default=0.0)
        blocks = self.config.scheduler.num_blocks
        done = all(engine.idle for engine in self.engines)
        result = RunResult(
            requests=table,
            series=series(rows, duration, blocks * self.config.ranks * self.config.replicas),
            segments=segments(rows),
            duration=duration,
            steps=sum(engine.steps for engine in self.engines),
            replicas=self.config.replicas,
            chips=self.config.chips * self.config.replicas,
            kv_blocks=blocks,
            block_size=self.config.scheduler.block_size,
            end_reason="all_done" if done else "stuck",
            clients=self.requests.clients,
            notes=remarks(self.requests, table, self.config.scheduler.max_model_len),
            recomputes=recomputes(self.book),
        )
        if checks_wanted():
            check_run(result, self.engines)
        return result

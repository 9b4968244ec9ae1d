"""Replicas on one clock: requests through a gateway and a router into engines that come and go.

    arrival → admission → gateway's queue → router → engine → answer
                               ▲                        │ failure, or taken out of service
                               └────────────────────────┘

An engine leaps from batch change to batch change; it is looked at when something ends in it that others wait
for. A request that is lost keeps the tokens it was given: prompt and answer so far are computed anew by
another engine (as NVIDIA Dynamo migrates requests), at most `retries` times.
"""

from collections import deque
from collections.abc import Callable
from functools import partial
from math import inf

import numpy as np

from sim.serving.book import GIVEN_UP, REFUSED
from sim.serving.clock import Clock
from sim.serving.engine import Engine
from sim.serving.entrance import Entrance
from sim.serving.fleet_config import FleetConfig, make_engine
from sim.serving.invariants import checks_wanted
from sim.serving.lockstep import ranks_of
from sim.serving.operation.autoscaling import Demand
from sim.serving.operation.failing import Failing
from sim.serving.operation.gateway import Gateway
from sim.serving.operation.kv_events import KvEvents
from sim.serving.operation.lifecycle import Lifecycle
from sim.serving.operation.orders import Clients
from sim.serving.operation.plan import Operation
from sim.serving.operation.reported import ReportedReplicas
from sim.serving.operation.scaler import FirstTokens
from sim.serving.operation.slowdowns import SlowSurface
from sim.serving.operation.upkeep import Upkeep
from sim.serving.outcome import Operated, book_of, run_result
from sim.serving.records import FleetHistory, Reason, RunResult
from sim.serving.routers import make_router
from sim.serving.tape import RunTape
from sim.serving.tiers.build import Pools
from sim.serving.watched import WatchedEngines
from sim.timing.surface_protocol import Surface
from sim.workload.requests import Requests
from sim.workload.streams import stream

LOOKED_AT = 24
"""Up to so many replicas of which only the router asks something are looked at at each arrival: that costs
less than to be told of every end (measured on W2 of docs/performance.md)."""


class OperatedFleet:
    """A run of a fleet whose replicas meet: in the router, in a closed loop, in what is done with them."""

    def __init__(self, requests: Requests, surface: Surface, config: FleetConfig, step_by_step: bool) -> None:
        operation = config.operation or Operation()
        self.requests = requests
        self.config = config
        self.operation = operation
        self.surface = surface
        self.step_by_step = step_by_step
        self.book = book_of(requests, config.scheduler, config.seed)
        self.clock = Clock()
        self.happened: deque[Callable[[], None]] = deque()
        self.tapes = [RunTape() for _ in range(config.replicas)]
        self.pools: Pools = {}
        self.engines = [self._engine(replica) for replica in range(config.replicas)]
        coupled = requests.concurrency is not None or requests.follows is not None or config.pooled
        told = config.router == "kv_aware"  # of what is stored and overwritten, when it is
        self.watches = coupled or told or config.operation is not None or config.replicas > LOOKED_AT
        self.watched = WatchedEngines(self.clock, self.engines, self.happened, self._is_wanted)
        self.view = ReportedReplicas(
            config.replicas,
            self.book.prompt,
            operation.staleness,
            operation.weights,
            stream(config.seed, "router").random,
            self._held,
            requests.pieces,
            self._known_of,
        )
        self.kv_events: KvEvents | None = None
        if config.router == "kv_aware":
            self.kv_events = KvEvents(config.replicas, config.scheduler.block_size, operation.staleness)
            for replica, engine in enumerate(self.engines):
                self.kv_events.watch(replica, engine)
        self.router = make_router(config.router, self.view)
        self.gateway = Gateway(operation, self._clients(), self._refuse)
        self.lifecycle = Lifecycle(self.clock, operation, config.replicas, self)
        self.upkeep = Upkeep(self.clock, operation, self.lifecycle, self._demand, self._slow)
        self.first_tokens = FirstTokens(self.book.arrival, self.book.first_token)
        self.awaits_first_tokens = operation.autoscaling is not None
        self.replica = [0] * len(requests)
        self.sent: list[dict[int, None]] = [{} for _ in range(config.replicas)]
        self.stranded: list[list[tuple[int, float]]] = [[] for _ in range(config.replicas)]
        self.reason = np.zeros(len(requests), np.int8)
        self.retries: dict[int, int] = {}
        self.submitted = np.full(len(requests), np.nan)
        self.entrance = Entrance(requests, self.book, self.clock, self._come, self.watched.settle)
        self.past_steps = 0

    def _engine(self, replica: int) -> Engine:
        engine = make_engine(self.config, self.book, self.surface, self.tapes[replica], self.pools)
        engine.step_by_step = self.step_by_step
        engine.on_finish = partial(self._tell_finished, replica)
        return engine

    def _clients(self) -> Clients:
        requests = self.requests
        client = requests.client.tolist() if len(requests.client) else [0] * len(requests)
        return Clients(
            client, self.operation.client_weights, self.book.priority, self.book.prompt, self.book.cap
        )

    def _is_wanted(self, engine: Engine) -> bool:
        return self.watches and (not engine.idle or bool(engine.flight))

    def _held(self) -> list[int]:
        """KV blocks held by every replica, now."""
        self.watched.advance_all(self.clock.now)
        return [engine.scheduler.load()[4] for engine in self.engines]

    def _known_of(self, request: int) -> list[int]:
        """Tokens of a prompt that the replicas' caches are known to hold; none is, but for a router that
        asks."""
        events, table = self.kv_events, self.book.table[request]
        if events is None or table is None:
            return [0] * self.config.replicas
        events.report(self.clock.now)
        return events.overlap(table.path, self.book.prompt[request])

    # -- requests -----------------------------------------------------------------------------------------

    def _come(self, request: int, time: float) -> bool:
        """A request comes to the gateway; False if it is turned away."""
        if not self.gateway.arrive(request, time):
            return False
        if self.awaits_first_tokens:
            self.first_tokens.awaited[request] = None
        self._send_ready(time)
        return True

    def _send_ready(self, time: float) -> None:
        for request in self.gateway.ready(time):
            self._send(request, time)

    def _send(self, request: int, time: float) -> None:
        view = self.view
        if not self.watches:
            self.watched.advance_all(time)
            self.watched.settle()
        view.report(time)
        place = self.replica[request] = self.router.choose(request)
        view.sent(request, place)
        self.sent[place][request] = None
        if self.book.received[request] is None:
            self.submitted[request] = time
        self.gateway.seen.inside += 1
        if self.lifecycle.state[place] == "dead":
            self.stranded[place].append((request, time))
        else:
            self.watched.touch(place, time, lambda engine: engine.submit(request, time))

    def _tell_finished(self, place: int, request: int, time: float) -> None:
        self.happened.append(partial(self._finished, place, request, time))

    def _finished(self, place: int, request: int, time: float) -> None:
        sent = self.sent[place]
        del sent[request]
        self.view.ended(request, place, time)
        self.gateway.order.finished(request)
        if not sent and self.lifecycle.state[place] == "draining":
            self.lifecycle.emptied(place, time)
        self.gateway.seen.inside -= 1
        self.entrance.left(request, time)
        self._send_ready(time)

    def _refuse(self, request: int, reason: Reason, time: float) -> None:
        """The gateway turns a request away."""
        let_in = reason is not Reason.RATE_LIMIT and reason is not Reason.QUEUE_FULL
        self.reason[request] = reason
        self.book.state[request] = GIVEN_UP if let_in else REFUSED
        if let_in:
            self.book.finish[request] = time
            self.first_tokens.awaited.pop(request, None)
            self.entrance.left(request, time)

    # -- replicas -----------------------------------------------------------------------------------------

    def opened(self, replica: int, time: float) -> None:
        """A replica takes requests from now on."""
        up = self.view.up
        up.append(replica)
        up.sort()
        self.gateway.seen.open = len(up)
        if self.upkeep.rolling is not None:
            self.upkeep.rolling.back(replica, time)
        self._send_ready(time)

    def closed(self, replica: int) -> None:
        """A replica takes none any more."""
        if replica in self.view.up:
            self.view.up.remove(replica)
            self.gateway.seen.open = len(self.view.up)

    def broken(self, replica: int, time: float) -> float:
        """An engine is no more; those in it are stranded. Returns when the steps in flight end."""
        engine = self.engines[replica]
        engine.advance(time)
        self.watched.settle()
        over = time
        while engine.flight:
            over, batch = engine.flight.popleft()
            if batch is not None:
                engine.scheduler.deliver(batch, over)
                for request in batch.finishing:
                    self.clock.at(over, partial(self._finished, replica, request))
        for request in engine.newcomers():
            self.stranded[replica].append((request, time))
        for rank in ranks_of(engine.scheduler):
            requests, never_whole = rank.evacuate()
            if never_whole:
                self.tapes[replica].take_back(never_whole)
            for request in requests:
                self.stranded[replica].append((request, over))
                if self.book.first_token[request] is not None:
                    self.book.thrown_out[request] = over
        self.past_steps += engine.steps
        self.engines[replica] = self._engine(replica)
        self.engines[replica].surface = engine.surface
        if self.kv_events is not None:
            self.kv_events.watch(replica, self.engines[replica])
        self.watched.watch(replica)
        self.router.forget(replica)
        return over

    def send_again(self, replica: int, time: float, *, failed: bool) -> None:
        """Those stranded in a replica wait at the gateway again, unless they were lost too often."""
        stranded, self.stranded[replica] = self.stranded[replica], []
        self.view.lost(replica)
        for request, since in reversed(stranded):
            del self.sent[replica][request]
            self.gateway.seen.inside -= 1
            self.gateway.waits.append((since, time))
            self.retries[request] = self.retries.get(request, 0) + 1
            if failed and self.retries[request] > self.operation.failures.retries:
                self._refuse(request, Reason.RETRIES, time)
            else:
                self.gateway.again(request, time)
        self._send_ready(time)
        self.watched.settle()

    def inside(self, replica: int) -> int:
        """Requests that were sent to a replica and have no answer."""
        return len(self.sent[replica])

    def _slow(self, replica: int, time: float, factor: float) -> None:
        """Steps decided from now on take so many times as long."""
        surface = SlowSurface(self.surface, factor) if factor > 1 else self.surface

        def change(engine: Engine) -> None:
            engine.surface = surface

        self.watched.touch(replica, time, change)
        self.watched.settle()

    def _demand(self, time: float, replicas: int) -> Demand:
        """What the autoscaler sees."""
        held, up = self._held(), self.view.up
        self.watched.settle()
        blocks = self.config.scheduler.num_blocks * self.config.ranks * max(1, len(up))
        seen = self.gateway.seen
        return Demand(
            replicas,
            seen.waiting + seen.inside,
            sum(held[replica] for replica in up) / blocks,
            self.first_tokens.look(time),
        )

    # -- the run ------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Until nothing is left to do."""
        self.upkeep.begin(self.config.seed)
        self.failing = Failing(
            self.clock,
            self.operation.failures,
            self.config.replicas,
            self.config.chips,
            self.operation.server,
            self.config.seed,
            self.lifecycle.fail,
        )
        self.entrance.begin()
        self.clock.run()
        for engine in self.engines:
            engine.advance(inf)
        self.watched.settle()
        for request in self.gateway.left_over():
            self._refuse(request, Reason.NO_REPLICA, self.clock.now)

    def result(self) -> RunResult:
        """The records of the run."""
        count = len(self.requests)
        retries = np.zeros(count, np.int64)
        retries[list(self.retries)] = list(self.retries.values())
        refused = (np.array(self.book.state) == REFUSED) & (self.reason == Reason.NONE)
        self.reason[refused] = Reason.TOO_LONG
        loads = self.lifecycle.loads
        history = FleetHistory(
            changes=tuple(self.lifecycle.changes),
            failures=tuple(self.failing.happened),
            loads=tuple(loads.finished),
            load_bytes=loads.loading.size,
            storage=loads.loading.storage,
            waits=tuple(self.gateway.waits),
        )
        operated = Operated(history, self.reason, retries, self.submitted, self.past_steps)
        if self.config.operation is None:
            operated = None
        result = run_result(
            self.requests, self.book, self.replica, self.tapes, self.engines, self.config, operated
        )
        if checks_wanted() and not self.entrance.to_come:
            self.entrance.census.check(result.requests)
        return result

"""Serving a workload on replicas: requests in, a `RunResult` out.

Under a router that looks at no state, open-loop load and no operation the replicas never meet, and each runs
on its own from its first request to its last. Otherwise one clock couples them (`sim.serving.operated`).
"""

from math import inf

from sim.deployment.deployment import Deployment
from sim.deployment.memory import MemoryMap
from sim.serving.book import REFUSED, RequestBook
from sim.serving.engine import Engine
from sim.serving.fleet_config import FleetConfig, fleet_config, make_engine
from sim.serving.operation.plan import Operation
from sim.serving.outcome import book_of, run_result
from sim.serving.records import RunResult
from sim.serving.routers import RouterName
from sim.serving.tape import RunTape
from sim.timing.surface_protocol import Surface
from sim.workload.requests import Requests

_BLIND: tuple[RouterName, ...] = ("round_robin", "weighted")
"""Request i goes to replica i mod count, if all are open and weigh alike."""


def serve(
    deployment: Deployment,
    memory: MemoryMap,
    requests: Requests,
    surface: Surface,
    router: RouterName = "round_robin",
    seed: int = 0,
    operation: Operation | None = None,
) -> RunResult:
    """Serve every request on a deployment's replicas; deterministic.

    Args:
        memory: where the KV blocks of an attention-dp rank come from; one of them is vLLM's null block.
        surface: prices of one replica's steps, in seconds.
        seed: of what serving draws.
        operation: what is done with the fleet while it serves.
    """
    return serve_fleet(requests, surface, fleet_config(deployment, memory, router, seed, operation))


def serve_fleet(
    requests: Requests, surface: Surface, config: FleetConfig, *, step_by_step: bool = False
) -> RunResult:
    """Serve every request on replicas given by their scheduler's limits alone.

    Args:
        surface: prices of one replica's steps, in seconds.
        step_by_step: take every schedule call on its own (for tests; same records to rounding).
    """
    if config.operation is None and config.router in _BLIND and not _coupled(requests, config):
        return _serve_apart(requests, surface, config, step_by_step)
    from sim.serving.operated import OperatedFleet

    fleet = OperatedFleet(requests, surface, config, step_by_step)
    fleet.run()
    return fleet.result()


def _coupled(requests: Requests, config: FleetConfig) -> bool:
    """Whether a request waits for the end of another, or replicas meet in a pool of KV blocks."""
    return config.pooled or requests.concurrency is not None or requests.follows is not None


def _serve_apart(requests: Requests, surface: Surface, config: FleetConfig, step_by_step: bool) -> RunResult:
    """Each replica on its own, from its first request to its last."""
    book = book_of(requests, config.scheduler, config.seed)
    tapes = [RunTape() for _ in range(config.replicas)]
    engines = [make_engine(config, book, surface, tape) for tape in tapes]
    replica = [0] * len(requests)
    for index, engine in enumerate(engines):
        engine.step_by_step = step_by_step
        _serve_share(engine, book, range(index, len(requests), config.replicas))
        replica[index :: config.replicas] = [index] * len(replica[index :: config.replicas])
    return run_result(requests, book, replica, tapes, engines, config)


def _serve_share(engine: Engine, book: RequestBook, share: range) -> None:
    """One replica's requests, through its engine."""
    arrival, state = book.arrival, book.state
    at_once = engine.front_end is None
    advance, submit = engine.advance, engine.submit
    for request in share:
        if state[request] != REFUSED:
            time = arrival[request]
            if at_once:
                advance(time)
            submit(request, time)
    advance(inf)

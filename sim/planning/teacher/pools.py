"""Several models on one cluster: where their replicas stand, who answers, and what that costs.

Pools share servers, not chips, and meet in one thing: a request that finds more in its pool than
`spill.outstanding` a replica goes to another model's pool, at the moment it comes. What a pool refuses does
not depend on who takes it, so pools are simulated one after another, each with what others sent it.
"""

from pathlib import Path

import numpy as np

from sim.documents import Document
from sim.errors import UserError
from sim.figures import Resolution
from sim.metrics.latency import latencies
from sim.metrics.power import at_rest, mean_power
from sim.planning.money import bill, check_price
from sim.planning.national.group import Fleet, percentiles
from sim.planning.teacher.ledger import Ledger, Places, some, together
from sim.planning.teacher.placement import Server, placed
from sim.planning.teacher.pools_result import PoolResult, Pools
from sim.planning.teacher.pools_spec import PoolSpec, PoolsSpec, read_pools
from sim.scenario.resolved import Tree
from sim.scenario.scenario import Scenario, scenario_of
from sim.serving.operation.admission.queue_limit import QueueLimit
from sim.serving.operation.plan import Operation
from sim.serving.records import Reason, RunResult
from sim.workload import generate
from sim.workload.requests import Requests


def pools(path: str | Path) -> Pools:
    """Answers a question about models that share a cluster.

    Raises:
        UserError: for a faulty question, more replicas than there are servers for, a chip without a price.
    """
    path = Path(path)
    spec = read_pools(path)
    scenarios = {pool.name: _scenario(spec, pool, path) for pool in spec.pools}
    fleets = {name: Fleet(scenario) for name, scenario in scenarios.items()}
    cluster = fleets[spec.pools[0].name].cluster
    check_price(spec.money, cluster.chip)
    servers = _servers(spec, path.name, fleets)
    asked = _asked(spec, scenarios)
    ledger = Ledger(sum(len(requests) for _, requests in asked))
    runs = _runs(spec, fleets, asked, ledger)
    found = tuple(
        _result(place, pool, spec, fleets[pool.name], asked, runs, ledger)
        for place, pool in enumerate(spec.pools)
    )
    used, chips = sum(pool.chips for pool in found), spec.servers * cluster.server
    watts = sum(_watts(fleets[name], result) for name, results in runs.items() for result in results)
    idle = at_rest(cluster)
    mean = (watts + (chips - used) * idle) / chips
    paid = bill(spec.money, cluster.chip, chips, cluster.server, mean, idle, Resolution("money"))
    return Pools(path.name, spec, found, servers, chips - used, paid)


def _scenario(spec: PoolsSpec, pool: PoolSpec, path: Path) -> Scenario:
    """One replica of the pool under all requests of one of its models."""
    tree: Tree = {
        "model": pool.model,
        "cluster": spec.cluster,
        "deployment": pool.deployment,
        "router": pool.router,
        "workload": {
            "arrivals": pool.arrivals,
            "prompt_tokens": pool.prompt_tokens,
            "output_tokens": pool.output_tokens,
            "duration": f"{spec.window!r} s",
        },
        "seed": spec.seed,
    }
    return scenario_of(Document(path.name, tree), path.parent)


def _servers(spec: PoolsSpec, name: str, fleets: dict[str, Fleet]) -> tuple[Server, ...]:
    """Where the replicas of all models stand."""
    size = fleets[spec.pools[0].name].cluster.server
    each = [
        (pool.name if pool.models == 1 else f"{pool.name} {copy + 1}", _chips(fleets[pool.name]))
        for pool in spec.pools
        for copy in range(pool.models)
        for _ in range(pool.replicas)
    ]
    servers = placed(each, size)
    if len(servers) > spec.servers:
        raise UserError(
            f"{name}: servers: {spec.servers}, but the replicas of all pools take {len(servers)} of {size} "
            "chips"
        )
    return tuple(servers)


def _asked(spec: PoolsSpec, scenarios: dict[str, Scenario]) -> list[tuple[PoolSpec, Requests]]:
    """The requests of every model, each with draws of its own."""
    asked: list[tuple[PoolSpec, Requests]] = []
    for pool in spec.pools:
        scenario = scenarios[pool.name]
        for _ in range(pool.models):
            seed = spec.seed + len(asked)
            asked.append((pool, generate(scenario.spec.workload, seed, scenario.base)))
    return asked


def _runs(
    spec: PoolsSpec, fleets: dict[str, Fleet], asked: list[tuple[PoolSpec, Requests]], ledger: Ledger
) -> dict[str, list[RunResult]]:
    """The runs by pool, one for each of its models; what became of each request is noted."""
    first = np.cumsum([0, *(len(requests) for _, requests in asked)])
    sent: dict[str, list[tuple[Places, Requests]]] = {pool.name: [] for pool in spec.pools}
    runs: dict[str, list[RunResult]] = {}
    for pool in spec.in_order:
        place = spec.pools.index(pool)
        runs[pool.name] = []
        for number, (of, own) in enumerate(asked):
            if of is not pool:
                continue
            numbers, requests = together(
                [(np.arange(first[number], first[number + 1]), own), *sent[pool.name]]
            )
            result = fleets[pool.name].serve(requests, pool.replicas, spec.seed + number, _limit(pool))
            runs[pool.name].append(result)
            refused = np.zeros(len(requests), np.bool_)
            if pool.spill is not None:
                refused = result.requests.reason == Reason.QUEUE_FULL
                sent[pool.spill.to].append((numbers[refused], some(requests, refused)))
            rows = np.flatnonzero(~refused)
            ledger.note(numbers[rows], latencies(result.requests), rows, place)
    return runs


def _limit(pool: PoolSpec) -> Operation | None:
    if pool.spill is None:
        return None
    return Operation(admission=QueueLimit(policy="queue_limit", requests=pool.spill.outstanding))


def _chips(fleet: Fleet) -> int:
    return fleet.priced.deployment.parallel.chips


def _watts(fleet: Fleet, result: RunResult) -> float:
    """Mean power of the chips of one model's replicas."""
    used = fleet.used(result)
    each = at_rest(fleet.cluster) if used is None else mean_power(fleet.cluster, used)
    return result.chips * each


def _result(
    place: int,
    pool: PoolSpec,
    spec: PoolsSpec,
    fleet: Fleet,
    asked: list[tuple[PoolSpec, Requests]],
    runs: dict[str, list[RunResult]],
    ledger: Ledger,
) -> PoolResult:
    """Judged are the requests that come in the middle of the window, neither filling nor draining."""
    arrival = np.concatenate([requests.arrival for _, requests in asked])
    owner: Places = np.concatenate([np.full(len(requests), spec.pools.index(of)) for of, requests in asked])
    mine = np.flatnonzero(owner == place)
    middle = mine[(arrival[mine] >= 0.2 * spec.window) & (arrival[mine] <= 0.8 * spec.window)]
    found = ledger.of(middle)
    ttft, tpot, _ = percentiles(found, np.ones(len(middle), np.bool_))
    met = float(pool.slo.met(found).mean()) if len(middle) else 1.0
    used = [fleet.used(result) for result in runs[pool.name]]
    return PoolResult(
        name=pool.name,
        models=pool.models,
        chips=pool.models * pool.replicas * _chips(fleet),
        requests=len(mine),
        spilled=float((ledger.by[mine] != place).mean()) if len(mine) else 0.0,
        taken=int(np.count_nonzero((ledger.by == place) & (owner != place))),
        attained=met,
        meets=met >= pool.slo.attainment,
        ttft=ttft,
        tpot=tpot,
        busy=sum(one.busy for one in used if one is not None) / len(used),
        output_rate=sum(int(result.requests.output_tokens.sum()) for result in runs[pool.name]) / spec.window,
    )

"""From the knee of a unit to a fleet: as few units as replications confirm."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sim.planning.plan.candidate import Candidate
from sim.planning.plan.cost import fleet_bill
from sim.planning.plan.fleet import NodeLoss, field, interval, node_loss, over
from sim.planning.plan.knee import Knee
from sim.planning.plan.option import Option
from sim.planning.plan.replica import replica
from sim.planning.plan.schema import PlanSpec
from sim.planning.plan.trial import Replica, Trial, attempt, measured
from sim.planning.plan.unit import Unit

SHOWN = (
    "tokens_per_s_per_chip", "tokens_per_s_per_user", "joules_per_output_token", "slo_attainment",
    "p99_ttft_ms", "p99_tpot_ms", "p99_e2el_ms", "mean_power_per_chip_w",
)  # fmt: skip
_MOST_STEPS = 4
"""Units that are added where replications do not confirm what one seed promised."""


@dataclass(frozen=True, slots=True)
class Share:
    """A replica, or a fleet of them behind a router, to be run at its share of the load, once."""

    replica: Replica
    rate: float
    seed: int


def attempted(share: Share) -> Trial:
    """Runs it."""
    return attempt(share.replica, share.rate, share.seed)


Run = Callable[[Sequence[Share]], list[Trial]]
"""Runs shares, in any order, and returns their trials by seed."""


def fleet_option(
    spec: PlanSpec, candidates: Mapping[str, Candidate], unit: Unit, knee: Knee, run: Run
) -> Option | None:
    """The smallest confirmed fleet of these units; None where they cannot serve the load.

    A fleet is confirmed where at least as many replications meet what is asked as miss it. Without routers a
    unit is run at its share of the load; with them the whole fleet is run behind each, the one that does with
    the fewest units counts, and of equals the first.
    """
    if knee.rate <= 0:
        return None
    options = [
        option
        for router in spec.search.routers or [""]
        if (option := _confirmed(spec, candidates, unit, knee, run, router)) is not None
    ]
    return min(options, key=lambda option: option.replicas, default=None)


def _confirmed(
    spec: PlanSpec, candidates: Mapping[str, Candidate], unit: Unit, knee: Knee, run: Run, router: str
) -> Option | None:
    """The smallest fleet behind one router ("": each unit on its own) that replications confirm."""
    least = math.ceil(spec.rate / knee.rate - 1e-9)

    def confirmed(replicas: int) -> list[Trial] | None:
        together = replicas if router else 1
        tried = replica(spec, candidates, unit, knee.key, together, router)
        rate = spec.rate * together / replicas
        seeds = range(spec.seed, spec.seed + spec.search.replications)
        trials = run([Share(tried, rate, seed) for seed in seeds])
        return trials if 2 * sum(trial.meets for trial in trials) >= len(trials) else None

    for replicas in range(least, least + _MOST_STEPS):
        if replicas * unit.each > spec.max_chips:
            return None
        trials = confirmed(replicas)
        if trials is None:
            continue
        while router and replicas > 1 and (fewer := confirmed(replicas - 1)) is not None:
            replicas, trials = replicas - 1, fewer
        return _option(spec, unit, knee, replicas, trials, router)
    return None


def _option(
    spec: PlanSpec, unit: Unit, knee: Knee, replicas: int, trials: list[Trial], router: str
) -> Option:
    power = over(trials, field("mean_power_per_chip_w"))
    rate = spec.rate / replicas
    carried = max(knee.rate, rate)
    losses = _losses(spec, unit, carried, replicas)
    spares = _spares(unit, losses) if spec.servers_down else (0,) * len(losses)
    watts = None if power is None else power.mean
    cost = fleet_bill(spec.money, unit, replicas, watts, spares=spares)
    copies = 1 if router else replicas
    tokens = [copies * (measured(trial.record, "output_throughput") or math.nan) for trial in trials]
    found = {name: over(trials, field(name)) for name in SHOWN}
    return Option(
        unit=unit,
        router=router,
        replicas=replicas,
        knee=carried,
        open=knee.open,
        headroom=carried / rate - 1.0,
        bill=cost,
        usd_per_million=interval([cost.usd_per_hour / 3600.0 / each * 1e6 for each in tokens]),
        figures={name: figure for name, figure in found.items() if figure is not None},
        losses=losses,
        spares=spares,
        bound_by=str(trials[0].record.get("bound_by") or ""),
        trials=tuple(trials),
        search=knee,
    )


def _losses(spec: PlanSpec, unit: Unit, knee: float, replicas: int) -> tuple[NodeLoss, ...]:
    """Servers down in each pool, as many as are asked for, one where none is."""
    down = max(1, spec.servers_down)
    return tuple(
        node_loss(
            spec.rate,
            knee / pool.count,
            replicas * pool.count,
            pool.layout.parallel.chips,
            pool.cluster.server,
            down,
        )
        for pool in unit.pools
    )


def _spares(unit: Unit, losses: Sequence[NodeLoss]) -> tuple[int, ...]:
    """Spare servers bought for each pool; pools on servers of one kind share theirs."""
    bought: dict[str, int] = {}
    spares: list[int] = []
    for pool, loss in zip(unit.pools, losses, strict=True):
        more = max(0, loss.spare_servers - bought.get(pool.candidate, 0))
        bought[pool.candidate] = bought.get(pool.candidate, 0) + more
        spares.append(more)
    return tuple(spares)

"""How sure a plan's ranking is: every fleet's cost under draws of what is uncertain about it.

    knee(draw)     = knee · estimate(draw) / estimate
    replicas(draw) = ⌈rate / knee(draw)⌉
    cost(draw)     = bill of those replicas at the drawn prices / output tokens

The knee of one simulated search is moved by what the draw does to the timer's estimate of the same layout
(`sim.planning.plan.estimate`): a search per draw would take hours, and the two see the same figures. Power
stays that of the simulated runs. A draw in which the layout does not fit, or one decode is too slow, serves
nothing: its cost is infinite. Figures of a family's kernels, of the site and of prices by one name are drawn
alike for all candidates, figures of a chip or a cluster for that one alone.
"""

import math
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np

from sim.errors import UserError
from sim.figures import Resolution
from sim.planning.executors import Executor
from sim.planning.money import Bill
from sim.planning.plan.candidate import Candidate
from sim.planning.plan.cost import fleet_bill
from sim.planning.plan.estimate import estimate
from sim.planning.plan.option import Option
from sim.planning.plan.question import asked_of
from sim.planning.plan.replica import unit_scenario
from sim.planning.plan.schema import PlanSpec
from sim.planning.plan.traffic import Traffic
from sim.planning.plan.unit import Pool, Unit
from sim.planning.uncertainty.factors import Factor, draws, ranged
from sim.planning.uncertainty.spread import Band, band
from sim.scenario.prepared import prepare
from sim.scenario.scenario import Scenario

_SHARED = ("cluster.chip.kernels.", "deployment.", "money.")
"""Figures that are a family's or the site's rather than the candidate's own."""


@dataclass(frozen=True, slots=True)
class Certainty:
    """How sure a fleet's cost is.

    Attributes:
        usd_per_million: per million output tokens, P10, P50 and P90 over the draws that serve the load.
        replicas: likewise; fails: share of draws in which the layout serves nothing.
        cheapest: share of draws in which this fleet is the cheapest of all.
    """

    usd_per_million: Band
    replicas: Band
    fails: float
    cheapest: float


@dataclass(frozen=True, slots=True)
class Doubt:
    """One fleet to be drawn `samples` times; `loads`: each pool's traffic, `scenario`: one unit's."""

    spec: PlanSpec
    loads: tuple[Traffic, ...]
    option: Option
    scenario: Scenario
    samples: int


def certainties(
    spec: PlanSpec,
    candidates: Mapping[str, Candidate],
    options: Sequence[Option],
    samples: int,
    executor: Executor,
) -> tuple[Certainty, ...]:
    """One for each option, in their order."""
    doubts = [
        Doubt(
            spec,
            tuple(candidates[pool.candidate].load for pool in o.unit.pools),
            o,
            unit_scenario(spec, candidates, o.unit),
            samples,
        )
        for o in options
    ]
    drawn: dict[int, list[tuple[float, int]]] = {}
    with closing(executor.results(_numbered, list(enumerate(doubts)))) as found:
        drawn.update(found)
    rows = [drawn[place] for place in range(len(options))]
    costs = np.array([[cost for cost, _ in row] for row in rows], np.float64)
    least = costs.min(axis=0)
    cheapest = np.isfinite(least) & (costs == least)
    cheapest[1:] &= ~np.logical_or.accumulate(cheapest, axis=0)[:-1]  # of equals the first
    shares: list[float] = cheapest.mean(axis=1).tolist()
    return tuple(_certainty(row, share) for row, share in zip(rows, shares, strict=True))


def _certainty(row: Sequence[tuple[float, int]], cheapest: float) -> Certainty:
    serving = [(cost, replicas) for cost, replicas in row if math.isfinite(cost)]
    known = serving or [(math.inf, 0)]
    costs, replicas = [cost for cost, _ in known], [float(n) for _, n in known]
    none = Band(math.inf, math.inf, math.inf)
    bands = (band(costs), band(replicas)) if serving else (none, none)
    return Certainty(*bands, fails=1.0 - len(serving) / len(row), cheapest=cheapest)


def _numbered(task: tuple[int, Doubt]) -> tuple[int, list[tuple[float, int]]]:
    return task[0], drawn_costs(task[1])


def drawn_costs(doubt: Doubt) -> list[tuple[float, int]]:
    """(USD per million output tokens, replicas) of each draw; infinite where nothing is served."""
    spec, option = doubt.spec, doubt.option
    tokens_per_s = option.bill.usd_per_hour / 3600.0 / option.usd_per_million.mean * 1e6
    prices = Resolution("money")
    _bill(doubt, option.unit, option.replicas, prices)
    known = ranged({**prepare(doubt.scenario.drawn({})).figures, **prices.figures})
    streams = [_stream(factor, option.unit) for factor in known]
    found: list[tuple[float, int]] = []
    for row in draws(streams, doubt.samples, spec.seed).tolist():
        draw = {factor.name: u for factor, u in zip(known, row, strict=True)}
        drawn = _drawn(doubt, draw)
        if drawn is None:
            found.append((math.inf, 0))
            continue
        unit, faster = drawn
        replicas = math.ceil(spec.rate / (option.knee * faster) - 1e-9)
        fleet = _bill(doubt, unit, replicas, Resolution("money", draw))
        found.append((fleet.usd_per_hour / 3600.0 / tokens_per_s * 1e6, replicas))
    return found


def _drawn(doubt: Doubt, draw: Mapping[str, float]) -> tuple[Unit, float] | None:
    """(the unit drawn, estimate / estimate without a draw); None where the draw serves nothing.

    Of two pools the slower one decides; what a link's range does to it is left out.
    """
    unit = doubt.option.unit
    try:
        prepared = prepare(doubt.scenario.drawn(draw))
    except UserError:
        return None
    deployments = [prepared.deployment, *([] if prepared.prefill is None else [prepared.prefill.deployment])]
    pools: list[Pool] = []
    rate = math.inf
    for pool, deployment, load in zip(unit.pools, deployments, doubt.loads, strict=True):
        screened = replace(pool.screened, deployment=deployment, rate=math.inf)
        moved = estimate(screened, load, asked_of(doubt.spec))
        if moved is None:
            return None
        rate = min(rate, pool.count * moved.rate)
        pools.append(replace(pool, screened=screened))
    before = min(pool.count * pool.estimate.rate for pool in unit.pools)
    return replace(unit, pools=tuple(pools)), rate / before


def _bill(doubt: Doubt, unit: Unit, replicas: int, resolution: Resolution) -> Bill:
    power = doubt.option.figures.get("mean_power_per_chip_w")
    watts = None if power is None else power.mean
    return fleet_bill(doubt.spec.money, unit, replicas, watts, resolution, doubt.option.spares)


def _stream(factor: Factor, unit: Unit) -> str:
    """The name of a factor's random stream: its own, or, of what is a candidate's alone, with its name."""
    path = factor.name.removeprefix("prefill.")
    if path.startswith(_SHARED) or not path.startswith("cluster."):
        return path
    pool = unit.pools[-1] if factor.name.startswith("prefill.") else unit.answers
    return f"{pool.cluster.name}:{path}"

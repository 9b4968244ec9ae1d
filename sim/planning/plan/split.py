"""Prompts and answers in pools of their own: which pools, on whose chips, in which ratio.

    rate(unit) = min(P · prompts/s of a prefill replica / remote,  D · requests/s of a decode replica,
                     link · chips of either pool / bytes of a request's cache)

P : D in lowest terms, at most `MOST` replicas together; `remote` is the share of prompt tokens that is not
computed where the answer is (`transfer.local_prompt_tokens`). With each replica's bound from *light* and the
link at its full rate this is a bound, with the estimates an estimate. Units are compared by what their fleets
cost at design power.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from heapq import nsmallest
from itertools import product

from sim.figures import Resolution
from sim.planning.plan.candidate import Candidate
from sim.planning.plan.cost import chip_hour, fleet_bill
from sim.planning.plan.schema import PlanSpec
from sim.planning.plan.traffic import Traffic
from sim.planning.plan.unit import Pool, Unit
from sim.scenario.disaggregation import resolve_transfer

MOST = 8
"""Replicas of a unit, of both pools together."""
RATIOS = tuple(
    (prefill, decode)
    for prefill, decode in product(range(1, MOST), repeat=2)
    if prefill + decode <= MOST and math.gcd(prefill, decode) == 1
)
_LOOKED_AT = 8
"""Times as many units as are wanted whose fleets are billed, servers rounded up; the rest by chips alone."""


@dataclass(frozen=True, slots=True)
class _Pair:
    """A prefill and a decode replica, with what a request moves between them.

    Attributes:
        link: B/s per chip; moved: bytes of a request; remote: share of prompt tokens computed in the pool.
    """

    prompts: Pool
    answers: Pool
    link: float
    moved: float
    remote: float

    def rate(self, prefill: int, decode: int, *, bound: bool) -> float:
        """Requests/s of so many of each; `bound`: by light, else by estimate."""
        prompts, answers = (
            pool.screened.rate if bound else pool.estimate.rate for pool in (self.prompts, self.answers)
        )
        chips = (
            prefill * self.prompts.layout.parallel.chips,
            decode * self.answers.layout.parallel.chips,
        )
        moves = self.link * min(chips) / self.moved if self.moved else math.inf
        computes = prefill * prompts / self.remote if self.remote else math.inf
        return min(computes, decode * answers, moves)


def splits(spec: PlanSpec, candidates: Sequence[tuple[Candidate, Candidate]], most: float) -> list[Unit]:
    """The units whose fleets cost least by estimate.

    Args:
        candidates: pairs, for prompts and for answers; most: chips that a fleet may have.
    """
    prices: dict[str, float] = {}
    units = [
        unit
        for prefill, decode in candidates
        for pair in _pairs(spec, prefill, decode)
        if (unit := _cheapest(spec, pair, prices, most)) is not None
    ]
    few = nsmallest(_LOOKED_AT * spec.search.simulate, units, key=lambda unit: _price(spec, unit, prices))
    few.sort(key=lambda unit: fleet_bill(spec.money, unit, unit.replicas).usd_per_hour)
    return few[: spec.search.simulate]


def _pairs(spec: PlanSpec, prefill: Candidate, decode: Candidate) -> Iterator[_Pair]:
    """Pools whose caches are of one type."""
    for prompts, answers in product(prefill.pools, decode.pools):
        roles = prompts.screened.role, answers.screened.role
        types = prompts.layout.precision.kv_cache, answers.layout.precision.kv_cache
        if roles == ("prefill", "decode") and types[0] == types[1]:
            yield _pair(spec, prompts, answers, decode.load)


def _pair(spec: PlanSpec, prompts: Pool, answers: Pool, load: Traffic) -> _Pair:
    transfer = resolve_transfer(spec.transfer, answers.screened.deployment, Resolution("transfer"))
    far = load.prompt[load.prompt > transfer.local_tokens].sum() / load.prompt.sum()
    moved = float(far) * transfer.size(round(load.mean_prompt))
    return _Pair(prompts, answers, transfer.bandwidth, moved, float(far))


def _cheapest(spec: PlanSpec, pair: _Pair, prices: dict[str, float], most: float) -> Unit | None:
    """The ratio in which the pair costs least; None where no fleet of it is small enough."""
    units = (_unit(spec, pair, prefill, decode) for prefill, decode in RATIOS)
    possible = [unit for unit in units if unit.chips <= most]
    return min(possible, key=lambda unit: _price(spec, unit, prices), default=None)


def _unit(spec: PlanSpec, pair: _Pair, prefill: int, decode: int) -> Unit:
    rate = pair.rate(prefill, decode, bound=False)
    pools = replace(pair.answers, count=decode), replace(pair.prompts, count=prefill)
    bound = pair.rate(prefill, decode, bound=True)
    return Unit(pools, bound, rate, math.ceil(spec.rate / rate))


def _price(spec: PlanSpec, unit: Unit, prices: dict[str, float]) -> float:
    """USD per hour of the fleet, servers counted by their chips; prices of a chip are kept by candidate."""
    for pool in unit.pools:
        if pool.candidate not in prices:
            prices[pool.candidate] = chip_hour(spec.money, pool.cluster)
    return unit.replicas * sum(prices[pool.candidate] * pool.chips for pool in unit.pools)

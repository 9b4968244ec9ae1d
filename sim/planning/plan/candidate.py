"""One candidate cluster of a plan: its layouts screened and ranked."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sim.deployment import Deployment
from sim.figures import Resolution
from sim.hardware import resolve_cluster
from sim.models import build_model
from sim.planning.money import check_price
from sim.planning.plan.estimate import Estimate, estimate
from sim.planning.plan.question import Question, asked_of, scenario_in, templates_of
from sim.planning.plan.schema import PlanSpec
from sim.planning.plan.space import Bounds, Role, Screened, Screening, Template, screen
from sim.planning.plan.traffic import Traffic, traffic
from sim.planning.plan.unit import Pool, Unit
from sim.scenario.scenario import Scenario
from sim.workload import generate


@dataclass(frozen=True, slots=True)
class Candidate:
    """One kind of cluster.

    Attributes:
        scenario: the plan's question on it, in the smallest layout.
        template: the deployment of that, whether it fits or not.
        screening: what screening left; estimated: how many of those got an estimate.
        ranked: the best replicas of prompts and answers by estimate, first the one with the fewest chips.
        pools: replicas for prompts or for answers alone, the best of each number of chips and type of cache.
    """

    name: str
    scenario: Scenario
    template: Deployment
    load: Traffic
    screening: Screening
    estimated: int
    ranked: tuple[Unit, ...]
    pools: tuple[Pool, ...] = ()


def answered(question: Question) -> Candidate:
    """Screens and ranks every layout of a candidate.

    Raises:
        UserError: for a faulty candidate, model or workload, or a chip without a price.
    """
    spec, scenario = question.spec, scenario_in(question)
    cluster = resolve_cluster(scenario.spec.cluster, Resolution("cluster"))
    check_price(spec.money, cluster.chip)
    templates = templates_of(question, scenario, build_model(scenario.spec.model), cluster)
    first = templates[0].deployment
    requests = generate(scenario.spec.workload, scenario.spec.seed, question.base)
    load, asked = traffic(requests, first.engine.enable_prefix_caching), asked_of(spec)
    screening = screen(templates, load, asked, spec.max_chips)
    most = math.inf if spec.budget else spec.max_chips
    name, together = question.chosen.name, "together" in spec.search.pools
    ranked, estimated = _ranked(name, spec, screening, load, asked, most) if together else ([], 0)
    pools = () if spec.search.pools == ["together"] else _pools(name, templates, load, asked, spec.max_chips)
    return Candidate(name, scenario, first, load, screening, estimated, tuple(ranked), pools)


def _ranked(
    name: str, spec: PlanSpec, screening: Screening, load: Traffic, asked: Bounds, most: float
) -> tuple[list[Unit], int]:
    """The layouts that need the fewest chips by estimate, and how many were estimated.

    An estimate never exceeds its bound, so that a layout whose bound already needs more chips than the last
    of the best cannot be one of them.

    Args:
        most: chips that a fleet may have.
    """
    wanted = spec.search.simulate
    best: list[Unit] = []
    estimated = 0
    by_bound = sorted(screening.kept, key=lambda s: (_needed(spec.rate, s.rate, s), -s.rate / _chips(s)))
    for screened in by_bound:
        least = _needed(spec.rate, screened.rate, screened)
        if least > most or (len(best) >= wanted and least > best[wanted - 1].chips):
            break
        found = estimate(screened, load, asked)
        estimated += 1
        if found is None:
            continue
        unit = whole(name, screened, found, spec.rate)
        if unit.chips <= most:
            best.append(unit)
            best.sort(key=lambda u: (u.chips, -u.rate / u.each))
    return best[:wanted], estimated


def whole(name: str, screened: Screened, found: Estimate, rate: float) -> Unit:
    """A replica of prompts and answers as a unit, for a fleet of `rate` requests/s."""
    return Unit((Pool(name, screened, found),), screened.rate, found.rate, math.ceil(rate / found.rate))


def _pools(
    name: str, templates: Sequence[Template], load: Traffic, asked: Bounds, chips: int
) -> tuple[Pool, ...]:
    """For each role, number of chips and type of cache the replica with the highest estimate.

    Of two pools that are alike in these, units with the faster one are never dearer, whatever they are
    paired with. A layout whose bound is below another's estimate is not estimated.
    """
    best: dict[tuple[Role, int, str], Pool] = {}
    plain = [template for template in templates if template.deployment.speculation is None] or templates
    roles: tuple[tuple[Role, Sequence[Template]], ...] = ("prefill", plain), ("decode", templates)
    for role, tried in roles:
        screening = screen(tried, load, asked, chips, role)
        for screened in sorted(screening.kept, key=lambda s: -s.rate):
            key = role, _chips(screened), screened.layout.precision.kv_cache
            if key in best and screened.rate <= best[key].estimate.rate:
                continue
            found = estimate(screened, load, asked)
            if found is not None and (key not in best or found.rate > best[key].estimate.rate):
                best[key] = Pool(name, screened, found)
    return tuple(best.values())


def _chips(screened: Screened) -> int:
    return screened.layout.parallel.chips


def _needed(rate: float, each: float, screened: Screened) -> int:
    return math.ceil(rate / each) * _chips(screened)

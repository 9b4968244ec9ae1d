"""How many replicas a country's services need at the peak of the day.

1. the largest share of the country's load that one group of replicas carries within every service's bounds,
   at each peak of the day; groups = 1 / the smallest of these shares
2. the answer run again with other seeds; more groups until at least half of the runs meet the bounds
3. a fleet of eight groups, divided and undivided: what simulating by groups does to the percentiles
"""

import math
from pathlib import Path

from sim.errors import UserError
from sim.figures import Resolution
from sim.metrics.power import at_rest, busy_power
from sim.planning.money import bill, check_price
from sim.planning.national.day import STEP, Day, day_of
from sim.planning.national.group import Fleet, Question, Tried, tried
from sim.planning.national.result import NationalResult, ServiceResult
from sim.planning.national.schema import NationalSpec, read_national
from sim.planning.national.splitting import GROUPS, METRICS, split_errors
from sim.planning.plan.fleet import interval
from sim.planning.plan.knee import bracketed
from sim.workload import generate

COARSE = 0.25
"""Width at which the search with a single replica stops; it only says where to begin."""
FEWEST = 50
"""Requests of the first run of a single replica: fewer say nothing."""
SAMPLE = 4000
_MOST_STEPS = 6
"""Times that a fiftieth of the groups is added where replications do not confirm what one seed promised."""


def national(path: str | Path) -> NationalResult:
    """Answers a question of national scale.

    Raises:
        UserError: for a faulty question, or services whose bounds no load on these replicas meets.
    """
    path = Path(path)
    question = Question(read_national(path), path.parent, path.name)
    spec = question.spec
    sample = question.scenario(1.0, 0.0, spec.seed, max(1.0, SAMPLE / spec.rate))
    day = day_of(spec, generate(sample.spec.workload, spec.seed, question.base))
    search = _Search(question, Fleet(sample))
    shares = {peak: search.share(peak) for peak in day.peaks}
    peak = min(shares, key=lambda at: shares[at])
    groups, runs = search.confirmed(peak, math.ceil(1.0 / shares[peak] - 1e-9))
    return _result(search, day, peak, groups, runs)


class _Search:
    """Looks for the load of a group."""

    def __init__(self, question: Question, fleet: Fleet) -> None:
        self.question = question
        self.fleet = fleet
        check_price(question.spec.money, fleet.cluster.chip)

    def run(self, share: float, replicas: int, peak: float, seed: int) -> Tried:
        """So many replicas under a share of the country's load."""
        scenario = self.question.scenario(share, peak, seed, self.question.spec.window)
        return tried(self.question, self.fleet, scenario, replicas)

    def carried(self, share: float, replicas: int, peak: float) -> bool:
        """Whether so many replicas carry a share; hardly any requests say nothing and count as not."""
        spec = self.question.spec
        told = share * spec.rate * spec.window >= FEWEST / 5
        return told and self.run(share, replicas, peak, spec.seed).meets

    def share(self, peak: float) -> float:
        """The largest share of the country's load that one group carries."""
        spec = self.question.spec
        guess = min(1.0, FEWEST / spec.window / spec.rate)
        one, _ = bracketed(lambda s: self.carried(s, 1, peak), guess, 1.0, COARSE)
        if one <= 0:
            raise UserError(
                f"{self.question.name}: services: a replica does not meet every service's bounds even at "
                f"{guess * spec.rate:.2g} requests/s; loosen slo or choose another deployment"
            )
        guess = min(1.0, one * spec.group)
        most, _ = bracketed(lambda s: self.carried(s, spec.group, peak), guess, 1.0, spec.tolerance)
        return most or one

    def confirmed(self, peak: float, groups: int) -> tuple[int, list[Tried]]:
        """The groups that replications confirm, and these runs."""
        spec = self.question.spec
        more = groups
        for step in range(_MOST_STEPS + 1):
            more = groups + step * math.ceil(groups / 50)
            seeds = range(spec.seed, spec.seed + spec.replications)
            runs = [self.run(1.0 / more, spec.group, peak, seed) for seed in seeds]
            if 2 * sum(run.meets for run in runs) >= len(runs):
                return more, runs
        raise UserError(
            f"{self.question.name}: services: {groups} to {more} groups meet every bound in one run but not "
            "in most; give a longer window or more replications"
        )


def _result(search: _Search, day: Day, peak: float, groups: int, runs: list[Tried]) -> NationalResult:
    question, fleet = search.question, search.fleet
    spec, cluster = question.spec, fleet.cluster
    chips = groups * runs[0].result.chips
    used = fleet.used(runs[0].result)
    idle = at_rest(cluster)
    watts = idle if used is None else busy_power(cluster, used)
    undivided = max(GROUPS)
    loads = [
        question.scenario(undivided / groups, peak, seed, spec.window)
        for seed in range(spec.seed, spec.seed + spec.replications)
    ]
    replicas = undivided * spec.group
    return NationalResult(
        name=question.name,
        spec=spec,
        day=day,
        peak=peak,
        rate=day.rate_at(peak),
        groups=groups,
        replicas=groups * spec.group,
        chips=chips,
        servers=math.ceil(chips / cluster.server),
        bill=bill(spec.money, cluster.chip, chips, cluster.server, watts, idle, Resolution("money")),
        bound_by="" if used is None else used.bound_by or "",
        services=_services(spec, day, peak, runs),
        simulated=len(runs[0].result.requests.arrival),
        splitting=split_errors(fleet, loads, replicas),
        compared=replicas,
        scenario=question.scenario(1.0 / (groups * spec.group), peak, spec.seed, spec.window),
    )


def _services(spec: NationalSpec, day: Day, peak: float, runs: list[Tried]) -> tuple[ServiceResult, ...]:
    found: list[ServiceResult] = []
    for place, service in enumerate(spec.services):
        seen = [run for run in runs if service.name in run.attained]
        if not seen:
            continue
        attained = interval([run.attained[service.name] for run in seen])
        p99 = {name: interval([run.p99[service.name][at] for run in seen]) for at, name in enumerate(METRICS)}
        rate = float(day.rates[place, int(peak / STEP)])
        met = attained.mean >= service.slo.attainment
        found.append(ServiceResult(service.name, rate, attained, met, p99))
    return tuple(found)

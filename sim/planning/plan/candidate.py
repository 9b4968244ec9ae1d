"""One candidate cluster of a plan: its layouts screened and ranked, and replicas ready to be simulated."""

import math
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from sim.deployment import Deployment, Parallel, Precision, laid_out
from sim.deployment.precision import check_arithmetic
from sim.deployment.schema import PrecisionSpec
from sim.documents import Document
from sim.errors import UserError
from sim.figures import Resolution
from sim.hardware import read_cluster, resolve_cluster
from sim.hardware.chip import Chip
from sim.hardware.schema import ChipProfile
from sim.models import build_model
from sim.planning.evaluate import Task
from sim.planning.identity import canonical
from sim.planning.money import check_price
from sim.planning.plan.engine import engine_of
from sim.planning.plan.estimate import Estimate, estimate
from sim.planning.plan.schema import CandidateSpec, PlanSpec
from sim.planning.plan.space import Bounds, Layout, Screened, Screening, bounds, screen
from sim.planning.plan.traffic import Traffic, traffic
from sim.planning.plan.trial import Replica
from sim.planning.sweep.axes import as_text
from sim.scenario.scenario import Scenario, scenario_of
from sim.workload import generate

SAMPLE = 2000
"""Requests that the traffic's means are taken from where the workload states no number."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """A layout with its bound and its estimate; `chips` is what the fleet would take by the estimate."""

    screened: Screened
    estimate: Estimate
    replicas: int

    @property
    def chips(self) -> int:
        """Chips of the whole fleet."""
        return self.replicas * self.screened.layout.parallel.chips


@dataclass(frozen=True, slots=True)
class Candidate:
    """One kind of cluster.

    Attributes:
        scenario: the plan's question on it, in the smallest layout.
        template: the deployment of that, whether it fits or not.
        screening: what screening left; estimated: how many of those got an estimate.
        ranked: the best by estimate, first the cheapest.
    """

    name: str
    scenario: Scenario
    template: Deployment
    load: Traffic
    screening: Screening
    estimated: int
    ranked: tuple[Ranked, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """A plan, asked of one candidate; `base` is where relative paths start from, `name` the plan file's."""

    spec: PlanSpec
    chosen: CandidateSpec
    base: Path
    name: str


def answered(question: Question) -> Candidate:
    """Screens and ranks every layout of a candidate.

    Raises:
        UserError: for a faulty candidate, model or workload, or a chip without a price.
    """
    spec, chosen, base, name = question.spec, question.chosen, question.base, question.name
    scenario = _scenario(spec, chosen, base, name)
    cluster = resolve_cluster(scenario.spec.cluster, Resolution("cluster"))
    check_price(spec.money, cluster.chip)
    model = build_model(scenario.spec.model)
    templates = [laid_out(s.spec.deployment, model, cluster) for s in _variants(spec, scenario, cluster.chip)]
    requests = generate(scenario.spec.workload, scenario.spec.seed, base)
    load = traffic(requests, templates[0].engine.enable_prefix_caching)
    asked = asked_of(spec)
    screening = screen(templates, load, asked, spec.max_chips)
    most = math.inf if spec.budget else spec.max_chips
    ranked, estimated = _ranked(spec, screening, load, asked, most)
    return Candidate(chosen.name, scenario, templates[0], load, screening, estimated, tuple(ranked))


def replica(spec: PlanSpec, candidate: Candidate, ranked: Ranked, key: str) -> Replica:
    """A replica in this layout, ready to be tried."""
    layout = ranked.screened.layout
    scenario = candidate.scenario.changed(layout_sets(layout))
    residence = candidate.load.decode_steps * ranked.estimate.tpot
    task = Task(key, canonical(scenario.tree), str(scenario.base.resolve()), scenario.name)
    return Replica(task, spec.percentiles, spec.search.requests, residence)


def layout_sets(layout: Layout) -> list[str]:
    """What turns the candidate's scenario into one in this layout."""
    parallel, precision = layout.parallel, layout.precision
    sizes = {name: getattr(parallel, name) for name in Parallel.__dataclass_fields__}
    types = {name: getattr(precision, name) for name in PrecisionSpec.model_fields}
    return [
        f"deployment.parallel={as_text(sizes)}",
        f"deployment.precision={as_text(types)}",
        f"deployment.engine.max_num_seqs={layout.max_num_seqs}",
        f"deployment.engine.max_num_batched_tokens={layout.max_num_batched_tokens}",
    ]


def asked_of(spec: PlanSpec) -> Bounds:
    """Bounds on single requests: the SLO's, and percentile bounds that say more."""
    asked = bounds(spec.slo)
    tpot = [
        bound for name, bound in spec.percentiles.items() if name in ("p99_tpot", "p95_tpot", "mean_tpot")
    ]
    ttft = [bound for name, bound in spec.percentiles.items() if name == "p99_ttft"]
    attainment = asked.attainment if spec.slo is not None else (0.99 if ttft else 0.95)
    return Bounds(min([asked.ttft, *ttft]), min([asked.tpot, *tpot]), asked.e2el, attainment)


def _scenario(spec: PlanSpec, chosen: CandidateSpec, base: Path, name: str) -> Scenario:
    engine = engine_of(
        ChipProfile.model_validate(read_cluster(chosen.cluster, base)["chip"]), spec.engine, chosen.engine
    )
    tree: dict[str, object] = {
        "model": spec.model,
        "cluster": chosen.cluster,
        "deployment": {"engine": engine},
        "workload": {"num_requests": SAMPLE} | spec.workload,
        "seed": spec.seed,
    }
    if spec.slo is not None:
        tree["slo"] = {
            key: f"{value!r} s" if key != "attainment" else value
            for key, value in spec.slo.model_dump(exclude_none=True).items()
        }
    sets = [f"{path}={as_text(value)}" for path, value in chosen.set.items()]
    scenario = scenario_of(Document(name, tree), base, sets)
    if "rate" not in type(scenario.spec.workload.arrivals).model_fields:
        process = scenario.spec.workload.arrivals.process
        raise UserError(f"{name}: workload.arrivals: {process} arrivals take no rate, which a plan varies")
    return scenario


def _variants(spec: PlanSpec, scenario: Scenario, chip: Chip) -> list[Scenario]:
    """One scenario per precision and engine limits; precisions that the chip lacks are left out.

    Raises:
        UserError: where the chip has none of them.
    """
    precisions = [Precision(**written.model_dump()) for written in spec.search.precision]
    possible = [precision for precision in precisions if _multiplies(chip, precision)]
    if not possible:
        check_arithmetic(precisions[0], chip)
    limits = product(spec.search.max_num_seqs, spec.search.max_num_batched_tokens)
    return [
        scenario.changed(layout_sets(Layout(Parallel(), precision, seqs, max(seqs, tokens))))
        for precision, (seqs, tokens) in product(possible, list(limits))
    ]


def _multiplies(chip: Chip, precision: Precision) -> bool:
    try:
        check_arithmetic(precision, chip)
    except UserError:
        return False
    return True


def _ranked(
    spec: PlanSpec, screening: Screening, load: Traffic, asked: Bounds, most: float
) -> tuple[list[Ranked], int]:
    """The layouts that need the fewest chips by estimate, and how many were estimated.

    An estimate never exceeds its bound, so that a layout whose bound already needs more chips than the last
    of the best cannot be one of them.

    Args:
        most: chips that a fleet may have.
    """
    wanted = spec.search.simulate
    best: list[Ranked] = []
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
        ranked = Ranked(screened, found, math.ceil(spec.rate / found.rate))
        if ranked.chips <= most:
            best.append(ranked)
            best.sort(key=lambda r: (r.chips, -r.estimate.rate / _chips(r.screened)))
    return best[:wanted], estimated


def _chips(screened: Screened) -> int:
    return screened.layout.parallel.chips


def _needed(rate: float, each: float, screened: Screened) -> int:
    return math.ceil(rate / each) * _chips(screened)

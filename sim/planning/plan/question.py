"""A plan, asked of one candidate: its scenario, and a deployment for every precision, limit and drafting."""

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import cast

from sim.deployment import Parallel, Precision, laid_out
from sim.deployment.precision import check_arithmetic
from sim.deployment.schema import PrecisionSpec
from sim.documents import Document
from sim.errors import UserError
from sim.hardware import read_cluster
from sim.hardware.chip import Chip
from sim.hardware.cluster import Cluster
from sim.hardware.schema import ChipProfile
from sim.models.architecture import ModelArchitecture
from sim.planning.plan.engine import engine_of
from sim.planning.plan.schema import CandidateSpec, PlanSpec
from sim.planning.plan.space import Bounds, Layout, Template, bounds
from sim.planning.sweep.axes import as_text
from sim.scenario.resolved import Tree
from sim.scenario.scenario import Scenario, scenario_of

SAMPLE = 2000
"""Requests that the traffic's means are taken from where the workload states no number."""


@dataclass(frozen=True, slots=True)
class Question:
    """A plan, asked of one candidate; `base` is where relative paths start from, `name` the plan file's."""

    spec: PlanSpec
    chosen: CandidateSpec
    base: Path
    name: str


def layout_sets(layout: Layout) -> list[str]:
    """What turns the candidate's scenario into one in this layout."""
    parallel, precision = layout.parallel, layout.precision
    sizes = {name: getattr(parallel, name) for name in Parallel.__dataclass_fields__}
    types = {name: getattr(precision, name) for name in PrecisionSpec.model_fields}
    return [
        f"deployment.parallel={as_text(sizes)}",
        f"deployment.precision={as_text(types)}",
        f"deployment.engine.max_num_batched_tokens={layout.max_num_batched_tokens}",
        f"deployment.engine.max_num_seqs={layout.max_num_seqs}",
        f"deployment.speculation={layout.speculation}",
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


def scenario_in(question: Question) -> Scenario:
    """The question on the candidate, in the smallest layout.

    Raises:
        UserError: for a faulty candidate, model or workload, or arrivals whose rate cannot be varied.
    """
    spec, chosen, base, name = question.spec, question.chosen, question.base, question.name
    try:
        profile = ChipProfile.model_validate(read_cluster(chosen.cluster, base)["chip"])
    except UserError as error:
        raise UserError(f"{name}: candidates: {error}") from None
    engine = engine_of(profile, spec.engine, chosen.engine)
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


def templates_of(
    question: Question, scenario: Scenario, model: ModelArchitecture, cluster: Cluster
) -> list[Template]:
    """One per precision, engine limits and drafts; precisions that the chip lacks are left out.

    Raises:
        UserError: where the chip has none of them, or the model does not draft like that.
    """
    spec = question.spec
    precisions = [Precision(**written.model_dump()) for written in spec.search.precision]
    possible = [precision for precision in precisions if _multiplies(cluster.chip, precision)]
    if not possible:
        check_arithmetic(precisions[0], cluster.chip)
    search = spec.search
    limits = product(search.max_num_seqs, search.max_num_batched_tokens)
    found: list[Template] = []
    for precision, (seqs, tokens), way in product(possible, list(limits), _ways(question, scenario)):
        drafts = as_text(way)
        layout = Layout(Parallel(), precision, seqs, max(seqs * _queries(way), tokens), drafts)
        deployment = scenario.changed(layout_sets(layout)).spec.deployment
        found.append(Template(laid_out(deployment, model, cluster), drafts))
    return found


def _ways(question: Question, scenario: Scenario) -> list[object]:
    """The candidate's ways to draft, else the plan's, else what its scenario says."""
    chosen = question.chosen.speculation
    ways = question.spec.search.speculation if chosen is None else chosen
    return [*ways] or [cast("Tree", scenario.tree["deployment"]).get("speculation")]


def _queries(way: object) -> int:
    """Tokens that a decode computes in a step, drafts included."""
    if not isinstance(way, dict):
        return 1
    drafts = cast("Tree", way).get("num_speculative_tokens", 1)
    return 1 + drafts if isinstance(drafts, int) else 1


def _multiplies(chip: Chip, precision: Precision) -> bool:
    try:
        check_arithmetic(precision, chip)
    except UserError:
        return False
    return True

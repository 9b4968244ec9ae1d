"""The scenario of a unit, and of several behind a router, ready to be tried at any load."""

from collections.abc import Mapping

from sim.documents import Document
from sim.planning.evaluate import Task
from sim.planning.identity import canonical
from sim.planning.plan.candidate import Candidate
from sim.planning.plan.question import layout_sets
from sim.planning.plan.schema import PlanSpec
from sim.planning.plan.trial import Replica
from sim.planning.plan.unit import Pool, Unit
from sim.scenario.scenario import Scenario, scenario_of


def replica(
    spec: PlanSpec,
    candidates: Mapping[str, Candidate],
    unit: Unit,
    key: str,
    copies: int = 1,
    router: str = "",
) -> Replica:
    """So many units as one service, behind a router where one is named."""
    scenario = unit_scenario(spec, candidates, unit, copies, router)
    residence = candidates[unit.answers.candidate].load.decode_steps * unit.answers.estimate.tpot
    task = Task(key, canonical(scenario.tree), str(scenario.base.resolve()), scenario.name)
    return Replica(task, spec.percentiles, copies * spec.search.requests, residence)


def unit_scenario(
    spec: PlanSpec,
    candidates: Mapping[str, Candidate],
    unit: Unit,
    copies: int = 1,
    router: str = "",
) -> Scenario:
    """The plan's question on so many units; a pool of its own for prompts lies under `prefill`."""
    own = _laid_out(candidates, unit.answers, copies)
    routed = [f"router={router}"] if router else []
    if unit.prompts is None:
        return own.changed(routed)
    other = _laid_out(candidates, unit.prompts, copies)
    pool = {"cluster": other.tree["cluster"], "deployment": other.tree["deployment"]}
    tree = own.tree | {"prefill": pool | ({"router": router} if router else {})}
    tree |= {"transfer": spec.transfer.model_dump(mode="json")}
    return scenario_of(Document(own.name, tree), own.base, routed)


def _laid_out(candidates: Mapping[str, Candidate], pool: Pool, copies: int) -> Scenario:
    sets = [*layout_sets(pool.layout), f"deployment.replicas={copies * pool.count}"]
    return candidates[pool.candidate].scenario.changed(sets)

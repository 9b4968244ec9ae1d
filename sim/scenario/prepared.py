"""A scenario's figures resolved: the deployment on its cluster, and every figure it rests on."""

from dataclasses import dataclass

from sim.deployment import Deployment, MemoryMap, deploy, memory_map
from sim.errors import UserError
from sim.figures import Assumption, Resolution
from sim.hardware import resolve_cluster
from sim.models import build_model
from sim.scenario.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Prepared:
    """What simulation and explanation start from."""

    deployment: Deployment
    memory: MemoryMap
    assumptions: tuple[Assumption, ...]


def prepare(scenario: Scenario) -> Prepared:
    """Resolves cluster and engine figures and lays the model out.

    Raises:
        UserError: naming the scenario, for a layout that is impossible or does not fit.
    """
    spec = scenario.spec
    hardware, engine = Resolution("cluster"), Resolution("deployment")
    try:
        cluster = resolve_cluster(spec.cluster, hardware)
        deployment = deploy(spec.deployment, build_model(spec.model), cluster, engine)
    except UserError as error:
        field = str(error).partition(":")[0]
        raise UserError(f"{scenario.place(field)}: {error}") from None
    if deployment.overlap != "none" and spec.fidelity != "event":
        raise UserError(
            f"{scenario.place('deployment.overlap')}: deployment.overlap: {deployment.overlap} shows only "
            f"where streams are simulated; give fidelity event instead of {spec.fidelity}, or overlap none"
        )
    return Prepared(deployment, memory_map(deployment), (*hardware.assumptions, *engine.assumptions))

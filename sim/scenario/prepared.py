"""A scenario's figures resolved: the deployment on its cluster, and every figure it rests on."""

from dataclasses import dataclass

from sim.deployment import Deployment, MemoryMap, deploy, memory_map
from sim.errors import UserError
from sim.figures import Assumption, Resolution
from sim.hardware import resolve_cluster
from sim.models import build_model
from sim.scenario.disaggregation import PrefillPoolSpec, check_pools, resolve_transfer
from sim.scenario.scenario import Scenario
from sim.serving.kv_transfer import KvTransfer
from sim.serving.routers import RouterName


@dataclass(frozen=True, slots=True)
class PreparedPrefill:
    """The pool that computes prompts, and how caches get from it to the deployment."""

    deployment: Deployment
    memory: MemoryMap
    router: RouterName
    transfer: KvTransfer


@dataclass(frozen=True, slots=True)
class Prepared:
    """What simulation and explanation start from."""

    deployment: Deployment
    memory: MemoryMap
    assumptions: tuple[Assumption, ...]
    prefill: PreparedPrefill | None = None


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
    figures = [*hardware.assumptions, *engine.assumptions]
    if spec.prefill is None:
        return Prepared(deployment, memory_map(deployment), tuple(figures))
    prefill = _prefill(scenario, spec.prefill, deployment, figures)
    return Prepared(deployment, memory_map(deployment), tuple(figures), prefill)


def _prefill(
    scenario: Scenario, spec: PrefillPoolSpec, decode: Deployment, figures: list[Assumption]
) -> PreparedPrefill:
    """The prefill pool; what it rests on is added to `figures`."""
    hardware, engine = Resolution("prefill.cluster"), Resolution("prefill.deployment")
    links = Resolution("transfer")
    try:
        cluster = resolve_cluster(spec.cluster, hardware)
        pool = deploy(spec.deployment, decode.model, cluster, engine)
        check_pools(pool, decode)
    except UserError as error:
        raise UserError(f"{scenario.place('prefill')}: prefill.{error}") from None
    transfer = resolve_transfer(scenario.spec.transfer, decode, links)
    figures += [*hardware.assumptions, *engine.assumptions, *links.assumptions]
    return PreparedPrefill(pool, memory_map(pool), spec.router, transfer)

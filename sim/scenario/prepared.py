"""A scenario's figures resolved: the deployment on its cluster, and every figure it rests on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sim.deployment import Deployment, MemoryMap, deploy, memory_map
from sim.errors import UserError
from sim.figures import Assumption, Figure, Resolution
from sim.hardware import resolve_cluster
from sim.models import build_model
from sim.scenario.disaggregation import PrefillPoolSpec, check_pools, resolve_transfer
from sim.scenario.fleet import FleetSpec, resolve_fleet
from sim.scenario.measured import measured_tables
from sim.scenario.scenario import Scenario
from sim.scenario.schema import ScenarioSpec
from sim.serving import fleet_config
from sim.serving.kv_transfer import KvTransfer
from sim.serving.operation.plan import Operation
from sim.serving.routers import RouterName

if TYPE_CHECKING:
    from sim.timing.measured.tables import Measured


@dataclass(frozen=True, slots=True)
class PreparedPrefill:
    """The pool that computes prompts, and how caches get from it to the deployment."""

    deployment: Deployment
    memory: MemoryMap
    router: RouterName
    transfer: KvTransfer


@dataclass(frozen=True, slots=True)
class Prepared:
    """What simulation and explanation start from; `figures` are those behind the assumptions, by path,
    `tables` the measured ones that prices of operators go by."""

    deployment: Deployment
    memory: MemoryMap
    assumptions: tuple[Assumption, ...]
    figures: Mapping[str, Figure]
    prefill: PreparedPrefill | None = None
    tables: "tuple[Measured, ...]" = ()
    operation: Operation | None = None


def prepare(scenario: Scenario) -> Prepared:
    """Resolves cluster and engine figures, at the scenario's draw, and lays the model out.

    Raises:
        UserError: naming the scenario, for a layout that is impossible or does not fit.
    """
    spec = scenario.spec
    hardware, engine = Resolution("cluster", scenario.draw), Resolution("deployment", scenario.draw)
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
    if deployment.parallel.ffn is not None and spec.fidelity in ("event", "tables"):
        raise UserError(
            f"{scenario.place('deployment.parallel')}: deployment.parallel.ffn: fidelity {spec.fidelity} "
            "knows one kind of chip in a replica; give analytic or roofline"
        )
    taken = [hardware, engine]
    memory = memory_map(deployment)
    prefill = operation = None
    if spec.prefill is not None:
        _check_offload(scenario, spec)
        prefill = _prefill(scenario, spec.prefill, deployment, taken)
    if spec.fleet is not None:
        operation = _operation(scenario, spec.fleet, deployment, memory, taken)
    assumptions = tuple(assumption for one in taken for assumption in one.assumptions)
    figures = {path: figure for one in taken for path, figure in one.figures.items()}
    return Prepared(deployment, memory, assumptions, figures, prefill, measured_tables(scenario), operation)


def _check_offload(scenario: Scenario, spec: ScenarioSpec) -> None:
    pools = {"deployment": spec.deployment, "prefill.deployment": spec.prefill and spec.prefill.deployment}
    for name, deployment in pools.items():
        if deployment and deployment.kv_offload is not None:
            raise UserError(
                f"{scenario.place(name)}: {name}.kv_offload: not yet with a pool of its own for prompts"
            )


def _prefill(
    scenario: Scenario, spec: PrefillPoolSpec, decode: Deployment, taken: list[Resolution]
) -> PreparedPrefill:
    """The prefill pool; the resolutions of what it rests on are added to `taken`."""
    names = ("prefill.cluster", "prefill.deployment", "transfer")
    hardware, engine, links = (Resolution(name, scenario.draw) for name in names)
    try:
        cluster = resolve_cluster(spec.cluster, hardware)
        pool = deploy(spec.deployment, decode.model, cluster, engine)
        check_pools(pool, decode)
    except UserError as error:
        raise UserError(f"{scenario.place('prefill')}: prefill.{error}") from None
    transfer = resolve_transfer(scenario.spec.transfer, decode, links)
    taken += [hardware, engine, links]
    return PreparedPrefill(pool, memory_map(pool), spec.router, transfer)


def _operation(
    scenario: Scenario,
    fleet: FleetSpec,
    deployment: Deployment,
    memory: MemoryMap,
    taken: list[Resolution],
) -> Operation:
    """What is done with the fleet; the resolution of what it rests on is added to `taken`."""
    spec, resolution = scenario.spec, Resolution("fleet", scenario.draw)
    if spec.prefill is not None:
        raise UserError(
            f"{scenario.place('fleet')}: fleet: a fleet of two pools is not operated; give one pool"
        )
    config = fleet_config(deployment, memory, spec.router)
    try:
        operation = resolve_fleet(fleet, deployment, config, resolution)
    except UserError as error:
        raise UserError(f"{scenario.place('fleet')}: {error}") from None
    taken.append(resolution)
    return operation

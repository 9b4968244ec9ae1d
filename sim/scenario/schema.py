"""The scenario as a user writes it, once models and clusters named in it are replaced by what they name."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from sim.deployment import DeploymentSpec
from sim.documents import WRITTEN
from sim.hardware import ClusterProfile
from sim.metrics import SloSpec
from sim.models import ModelSpec
from sim.scenario.disaggregation import PrefillPoolSpec, TransferSpec
from sim.scenario.fleet import FleetSpec
from sim.scenario.service_class import ServiceClass
from sim.serving.routers import RouterName
from sim.timing.step_timer import Fidelity
from sim.workload import WorkloadSpec


class ScenarioSpec(BaseModel):
    """One question: this model, on this cluster, deployed like this, under this load, within these bounds."""

    model_config = WRITTEN

    schema_version: Annotated[
        Literal[1], Field(alias="schema", description="Version of this format; always 1.")
    ] = 1
    model: Annotated[
        ModelSpec,
        Field(description="Catalogue name, a path (with a / or ending in .yaml, .json) or the model itself."),
    ]
    cluster: Annotated[
        ClusterProfile,
        Field(description="Catalogue name, a path or the cluster itself, its chip included."),
    ]
    deployment: Annotated[
        DeploymentSpec, Field(description="How the model is cut up over the chips, and the engine's limits.")
    ] = DeploymentSpec()
    router: Annotated[
        RouterName, Field(description="Which replica gets a request; ties go to the lowest number.")
    ] = "round_robin"
    prefill: Annotated[
        PrefillPoolSpec | None,
        Field(description="A pool of its own for prompts; the deployment then only decodes. Null: none."),
    ] = None
    transfer: Annotated[
        TransferSpec, Field(description="How KV caches get from the prefill pool to the deployment.")
    ] = TransferSpec()
    fleet: Annotated[
        FleetSpec | None,
        Field(description="What is done with the replicas while they serve. Null: nothing, and none fails."),
    ] = None
    classes: Annotated[
        tuple[ServiceClass, ...],
        Field(description="Priority, share of the fleet and SLO by client; left out: all alike."),
    ] = ()
    workload: Annotated[WorkloadSpec, Field(description="Arrivals and lengths of the requests.")]
    slo: Annotated[
        SloSpec | None, Field(description="Bounds that every request should meet, jointly; left out: none.")
    ] = None
    fidelity: Annotated[
        Fidelity,
        Field(
            description="`analytic`: mechanistic closed forms; `roofline`: the speed of light; `event`: the "
            "chip's engines, memory and links simulated; `tables`: analytic, corrected by measured `tables`."
        ),
    ] = "analytic"
    tables: Annotated[
        tuple[str, ...],
        Field(
            description="Measured tables of operators that fidelity `tables` goes by: paths (Parquet, CSV) "
            "or `aiconfigurator:CHIP/STACK/VERSION` for those of an installed aiconfigurator-core."
        ),
    ] = ()
    seed: Annotated[int, Field(ge=0, description="The same seed gives the same bytes.")] = 0

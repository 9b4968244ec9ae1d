"""What is done with the fleet of a scenario while it serves, as a user writes it and in SI numbers."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self, cast

from pydantic import BaseModel, Field, model_validator

from sim.deployment import Deployment
from sim.documents import WRITTEN
from sim.errors import UserError
from sim.figures import BandwidthFigure, Figure, Resolution, TimeFigure, dump_figure
from sim.models.accounting import weight_bytes
from sim.models.matrices import KINDS
from sim.serving import FleetConfig
from sim.serving.operation.admission import Admission
from sim.serving.operation.admission.deadline import Deadline
from sim.serving.operation.autoscaling import Autoscaling
from sim.serving.operation.orders import OrderName
from sim.serving.operation.plan import Breakdown, Failures, Loading, Maintenance, Operation
from sim.serving.operation.slowdowns import Foreseen, Slowdown
from sim.units import BANDWIDTH, TIME, Seconds

_HOUR = 3600.0
_LLAMA = "Llama 3 (arXiv 2407.21783, table 5): 419 interruptions in 54 days on 16,384 H100 in 2,048 servers; "

STORAGE = Figure(
    100e9, BANDWIDTH, 20e9, 500e9, "assumption",
    "a parallel file system of some racks; nothing is published of those that serving fleets start from",
)  # fmt: skip
LINK = Figure(
    20e9,
    BANDWIDTH,
    5e9,
    50e9,
    "assumption",
    "one or two 200 Gb/s storage adapters of a server, at 0.5 to 0.8",
)
STARTUP = Figure(
    60.0, TIME, 20.0, 300.0, "assumption",
    "processes, communicators, captured graphs and warm-up; engines log half a minute to several minutes",
)  # fmt: skip
DETECTION = Figure(
    10.0, TIME, 1.0, 60.0, "assumption",
    "health probes every few seconds, some of which must fail; a hung collective takes its own timeout",
)  # fmt: skip
REPAIR = Figure(
    1800.0,
    TIME,
    300.0,
    14400.0,
    "assumption",
    "a reboot takes minutes, a swapped server hours where no spare is",
)
CHIP_MTBF = Figure(
    79_000 * _HOUR, TIME, 40_000 * _HOUR, 160_000 * _HOUR, "estimate",
    _LLAMA + "268 of them by GPUs and their memory",
)  # fmt: skip
NODE_MTBF = Figure(
    126_000 * _HOUR, TIME, 40_000 * _HOUR, 250_000 * _HOUR, "estimate",
    _LLAMA + "21 by adapters, power, chassis, boards, processors, memory and disks of servers",
)  # fmt: skip
LINK_MTBF = Figure(
    607_000 * _HOUR, TIME, 200_000 * _HOUR, 1_200_000 * _HOUR, "estimate",
    _LLAMA + "35 by switches and cables, of one link per GPU",
)  # fmt: skip

_LOADING = {"storage": STORAGE, "link": LINK, "startup": STARTUP}
_FAILURES = {
    "chip_mtbf": CHIP_MTBF,
    "node_mtbf": NODE_MTBF,
    "link_mtbf": LINK_MTBF,
    "detection": DETECTION,
    "repair": REPAIR,
}


class GatewaySpec(BaseModel):
    """Who is let in, and whose turn it is."""

    model_config = WRITTEN

    outstanding: Annotated[int, Field(ge=1, strict=True)] | None = Field(
        default=None,
        description="requests per open replica in the engines, beyond which they wait at the gateway; null: "
        "all go to the engines at once and wait there",
    )
    order: OrderName = Field(
        default="fcfs",
        description="of those who wait at the gateway; `fair`: tokens shared by weight within each priority",
    )
    admission: Admission | None = Field(default=None, description="who is turned away")

    @model_validator(mode="after")
    def _somebody_waits(self) -> Self:
        waits = "deadline" if isinstance(self.admission, Deadline) else self.order
        if self.outstanding is None and waits != "fcfs":
            raise ValueError(
                f"'outstanding' is missing: without it nobody waits here, and {waits} says nothing"
            )
        return self


class LoadingSpec(BaseModel):
    """How a replica that starts gets its weights; their bytes are the model's."""

    model_config = WRITTEN

    storage: BandwidthFigure = Field(default=STORAGE, description="what all replicas together read at most")
    link: BandwidthFigure = Field(default=LINK, description="into one server")
    startup: TimeFigure = Field(default=STARTUP, description="from the last byte to the first request")


class BreakdownSpec(BaseModel):
    """A failure that is foreseen."""

    model_config = WRITTEN

    at: Annotated[Seconds, Field(ge=0, description="when it breaks")]
    kind: Annotated[Literal["chip", "node", "link"], Field(description="what breaks; a node is a server")]
    place: Annotated[
        int, Field(ge=0, strict=True, description="the chip, the chip of the link, or the server, in order")
    ]


class FailuresSpec(BaseModel):
    """What breaks, and what then happens."""

    model_config = WRITTEN

    chip_mtbf: TimeFigure | None = Field(
        default=CHIP_MTBF, description="between failures of one chip; null: none"
    )
    node_mtbf: TimeFigure | None = Field(
        default=NODE_MTBF, description="between failures of one server; null: none"
    )
    link_mtbf: TimeFigure | None = Field(
        default=LINK_MTBF, description="between failures of one chip's link; null: none"
    )
    script: tuple[BreakdownSpec, ...] = Field(default=(), description="failures at given times")
    detection: TimeFigure = Field(default=DETECTION, description="until the fleet knows of it")
    repair: TimeFigure = Field(default=REPAIR, description="from then until weights can be loaded again")
    retries: Annotated[int, Field(ge=0, strict=True)] = Field(
        default=3, description="how often a request that was lost is sent again before it fails"
    )


class MaintenanceSpec(BaseModel):
    """All replicas in turn: drained, down, loaded again."""

    model_config = WRITTEN

    start: Annotated[Seconds, Field(ge=0, description="when the first one is drained")]
    duration: Annotated[Seconds, Field(gt=0, description="down time of each")]
    at_once: Annotated[int, Field(ge=1, strict=True, description="replicas out at a time")] = 1


class FleetSpec(BaseModel):
    """What is done with the replicas while they serve; `deployment.replicas` is the most there are."""

    model_config = WRITTEN

    snapshots: Annotated[Seconds, Field(ge=0)] = Field(
        default=0.05,
        description="time between two reports of the replicas to the router; 0 s: always present",
    )
    weights: tuple[Annotated[float, Field(gt=0, allow_inf_nan=False)], ...] = Field(
        default=(), description="of each replica, for the weighted router; all alike if left out"
    )
    gateway: GatewaySpec = Field(default=GatewaySpec(), description="who is let in, and whose turn it is")
    autoscaling: Autoscaling | None = Field(
        default=None, description="how many replicas there are; null: all"
    )
    loading: LoadingSpec = Field(default=LoadingSpec(), description="how a replica gets its weights")
    failures: FailuresSpec | None = Field(default=None, description="what breaks; null: nothing")
    slowdowns: tuple[Slowdown, ...] = Field(default=(), description="replicas that are slower than others")
    maintenance: MaintenanceSpec | None = Field(default=None, description="rolling maintenance; null: none")
    drain: Annotated[Seconds, Field(gt=0)] = Field(
        default=600.0, description="after which a replica that is taken out hands over the requests it has"
    )


def read_fleet(raw: object) -> object:
    """The raw `fleet:` tree with its figures present, so that overrides can address them."""
    if not isinstance(raw, Mapping):
        return raw
    tree = dict(cast("Mapping[str, object]", raw))
    for key, figures in (("loading", _LOADING), ("failures", _FAILURES)):
        part = tree.get(key, {} if key == "loading" else None)
        if isinstance(part, Mapping):
            defaults = {name: dump_figure(figure) for name, figure in figures.items()}
            tree[key] = defaults | dict(cast("Mapping[str, object]", part))
    return tree


def resolve_fleet(
    spec: FleetSpec, deployment: Deployment, config: FleetConfig, resolution: Resolution
) -> Operation:
    """The operation of a fleet in SI numbers.

    Raises:
        UserError: for a replica, chip or server that the fleet does not have.
    """
    _check(spec, config, deployment.cluster.server)
    maintenance = spec.maintenance
    return Operation(
        staleness=spec.snapshots,
        weights=spec.weights,
        limit=spec.gateway.outstanding,
        order=spec.gateway.order,
        admission=spec.gateway.admission,
        autoscaling=spec.autoscaling,
        loading=_loading(spec.loading, deployment, config.chips, resolution.within("loading")),
        failures=_failures(spec.failures, resolution.within("failures")),
        slowdowns=spec.slowdowns,
        maintenance=None
        if maintenance is None
        else Maintenance(maintenance.start, maintenance.duration, maintenance.at_once),
        drain=spec.drain,
        server=deployment.cluster.server,
    )


def _loading(spec: LoadingSpec, deployment: Deployment, chips: int, resolution: Resolution) -> Loading:
    """The bytes of the model's weights, through storage, the servers' links and the chips' host links."""
    precision, cluster = deployment.precision, deployment.cluster
    size = weight_bytes(deployment.model, {kind: precision.stored(kind) for kind in KINDS})
    servers = -(-chips // cluster.server)
    link = servers * resolution.take("link", spec.link)
    if cluster.host_bandwidth:
        link = min(link, chips * cluster.host_bandwidth)
    if deployment.startup is not None and deployment.startup.load:
        link = min(link, chips * deployment.startup.load)
    return Loading(
        size,
        storage=resolution.take("storage", spec.storage),
        link=link,
        startup=resolution.take("startup", spec.startup),
    )


def _failures(spec: FailuresSpec | None, resolution: Resolution) -> Failures:
    if spec is None:
        return Failures()
    kinds = {"chip": spec.chip_mtbf, "node": spec.node_mtbf, "link": spec.link_mtbf}
    return Failures(
        mtbf={
            kind: resolution.take(f"{kind}_mtbf", figure)
            for kind, figure in kinds.items()
            if figure is not None
        },
        script=tuple(Breakdown(one.at, one.kind, one.place) for one in spec.script),
        detection=resolution.take("detection", spec.detection),
        repair=resolution.take("repair", spec.repair),
        retries=spec.retries,
    )


def _check(spec: FleetSpec, config: FleetConfig, server: int) -> None:
    replicas, chips = config.replicas, config.replicas * config.chips
    if spec.weights and len(spec.weights) != replicas:
        raise UserError(f"fleet.weights: {len(spec.weights)} weights for {replicas} replicas")
    if spec.weights and config.router != "weighted":
        raise UserError(f"fleet.weights: router {config.router} has no weights; give router weighted")
    scaling = spec.autoscaling
    if scaling is not None and max(scaling.least, scaling.at_start) > replicas:
        raise UserError(
            f"fleet.autoscaling: {max(scaling.least, scaling.at_start)} replicas are asked for and "
            f"deployment.replicas is {replicas}"
        )
    for number, slowdown in enumerate(spec.slowdowns):
        if isinstance(slowdown, Foreseen) and slowdown.replica >= replicas:
            raise UserError(
                f"fleet.slowdowns.{number}.replica: {slowdown.replica} is not one of {replicas} "
                "(counted from 0)"
            )
    for number, one in enumerate(() if spec.failures is None else spec.failures.script):
        count = -(-chips // server) if one.kind == "node" else chips
        if one.place >= count:
            raise UserError(
                f"fleet.failures.script.{number}.place: {one.place} is not one of {count} {one.kind}s "
                "(counted from 0)"
            )

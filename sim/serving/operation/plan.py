"""What is done with a fleet while it serves, in SI numbers: the resolved form of `fleet:` in a scenario."""

from dataclasses import dataclass, field

from sim.serving.operation.admission import Admission
from sim.serving.operation.autoscaling import Autoscaling
from sim.serving.operation.orders import OrderName
from sim.serving.operation.slowdowns import Slowdown


@dataclass(frozen=True, slots=True)
class Loading:
    """How a replica gets its weights.

    Attributes:
        size: B of weights of one replica; storage: B/s that all replicas together can read; link: B/s into
            one replica's servers.
        startup: s from the last byte to the first request (processes, graphs, warm-up).
    """

    size: float = 0.0
    storage: float = 1.0
    link: float = 1.0
    startup: float = 0.0


@dataclass(frozen=True, slots=True)
class Breakdown:
    """A failure that is foreseen: at `at` s, of a `kind` of part, with what hangs on it.

    Attributes:
        place: chip, or the chip at the link, or server, counted over the fleet's chips in order.
    """

    at: float
    kind: str
    place: int


@dataclass(frozen=True, slots=True)
class Failures:
    """What breaks, and what then happens.

    Attributes:
        mtbf: kind of part ("chip", "node", "link") → s between failures of one of them.
        detection: s until the fleet knows; repair: s from then until the replica can load weights again.
        retries: how often a request that was lost is sent again.
    """

    mtbf: dict[str, float] = field(default_factory=dict[str, float])
    script: tuple[Breakdown, ...] = ()
    detection: float = 0.0
    repair: float = 0.0
    retries: int = 3


@dataclass(frozen=True, slots=True)
class Maintenance:
    """All replicas, a few at a time, from `start` s on: drained, down for `duration` s, loaded again."""

    start: float
    duration: float
    at_once: int = 1


@dataclass(frozen=True, slots=True)
class Operation:
    """Everything of the kind; by default nothing.

    Attributes:
        staleness: s between two reports of the replicas; 0: routers see them as they are.
        weights: of the replicas, for the weighted router.
        limit: requests per open replica in the engines, beyond which they wait at the gateway; None: all go
            to the engines at once.
        client_weights: for the fair order, by client.
        drain: s after which a replica that is taken out hands over the requests it still has.
        server: chips of a server, for failures of a whole one.
    """

    staleness: float = 0.0
    weights: tuple[float, ...] = ()
    limit: int | None = None
    order: OrderName = "fcfs"
    client_weights: tuple[float, ...] = (1.0,)
    admission: Admission | None = None
    autoscaling: Autoscaling | None = None
    loading: Loading = Loading()
    failures: Failures = Failures()
    slowdowns: tuple[Slowdown, ...] = ()
    maintenance: Maintenance | None = None
    drain: float = 600.0
    server: int = 8

"""One way to serve the traffic: a unit, how many of it, and the figures that decide."""

from dataclasses import asdict, dataclass

from sim.planning.money import Bill
from sim.planning.plan.fleet import Interval, NodeLoss
from sim.planning.plan.knee import Knee
from sim.planning.plan.trial import Trial
from sim.planning.plan.unit import Pool, Unit


@dataclass(frozen=True, slots=True)
class Option:
    """A fleet that serves the traffic.

    Attributes:
        router: that the whole fleet was simulated behind; empty where each unit had its share of the load.
        replicas: units of the fleet.
        knee: requests/s of one unit; open: it was not looked for beyond.
        headroom: load that could be added / load.
        bill: cost and power, spares included; usd_per_million: per million output tokens, with its interval.
        figures: field of the record → its interval over replications.
        losses: servers down, pool by pool; spares: servers bought for it.
        bound_by: the resource that takes most of the time.
    """

    unit: Unit
    router: str
    replicas: int
    knee: float
    open: bool
    headroom: float
    bill: Bill
    usd_per_million: Interval
    figures: dict[str, Interval]
    losses: tuple[NodeLoss, ...]
    spares: tuple[int, ...]
    bound_by: str
    trials: tuple[Trial, ...]
    search: Knee

    @property
    def candidate(self) -> str:
        """The cluster's name in the plan, or both."""
        return self.unit.name

    @property
    def chips(self) -> int:
        """Of the whole fleet, without spares."""
        return self.replicas * self.unit.each

    @property
    def servers(self) -> int:
        """Servers that hold them."""
        return sum(-(-self.replicas * pool.chips // pool.cluster.server) for pool in self.unit.pools)

    @property
    def loss(self) -> NodeLoss:
        """The loss that hurts most."""
        return max(self.losses, key=lambda loss: (loss.spare_servers, -loss.replicas_left))

    @property
    def kilowatts(self) -> float:
        """At the meter."""
        return self.bill.watts / 1e3

    @property
    def fleet(self) -> str:
        """'3 × 8 h200-hgx', with the spare servers."""
        spares = f" + {sum(self.spares)} spare" if any(self.spares) else ""
        return self.unit.fleet(self.replicas) + spares

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return {
            "candidate": self.candidate,
            **pool_json(self.unit.answers),
            "prompts": None if self.unit.prompts is None else pool_json(self.unit.prompts),
            "router": self.router or None,
            "replicas": self.replicas,
            "chips": self.chips,
            "servers": self.servers,
            "spare_servers": sum(self.spares),
            "usd_per_million_output_tokens": asdict(self.usd_per_million),
            "usd_per_hour": self.bill.usd_per_hour,
            "usd_per_hour_by_cause": self.bill.parts,
            "krw_per_million_output_tokens": self.usd_per_million.mean * self.bill.krw_per_usd,
            "kw": self.kilowatts,
            "racks": self.bill.racks,
            "replica_knee_requests_per_s": self.knee,
            "knee_open": self.open,
            "headroom": self.headroom,
            "servers_down": asdict(self.loss),
            "bound_by": self.bound_by,
            "figures": {name: asdict(found) for name, found in self.figures.items()},
            "bound_requests_per_s": self.unit.bound,
            "estimated_requests_per_s": self.unit.rate,
        }


def pool_json(pool: Pool) -> dict[str, object]:
    """A pool of a unit: its candidate, its replicas in each unit, their layout."""
    layout = pool.layout
    return {
        "cluster": pool.candidate,
        "count": pool.count,
        "parallel": asdict(layout.parallel),
        "precision": asdict(layout.precision),
        "max_num_seqs": layout.max_num_seqs,
        "max_num_batched_tokens": layout.max_num_batched_tokens,
        "speculation": layout.speculation,
    }

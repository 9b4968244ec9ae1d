"""One way to serve the traffic: a layout, how many replicas of it, and the figures that decide."""

from dataclasses import asdict, dataclass

from sim.planning.money import Bill
from sim.planning.plan.candidate import Ranked
from sim.planning.plan.fleet import Interval, NodeLoss
from sim.planning.plan.knee import Knee
from sim.planning.plan.trial import Trial


@dataclass(frozen=True, slots=True)
class Option:
    """A fleet that serves the traffic.

    Attributes:
        candidate: the cluster's name in the plan; sets: overrides that turn the plan's question on that
        cluster
            into one replica's scenario at its share of the load.
        replicas, chips, servers: of the whole fleet.
        knee: requests/s of one replica; open: it was not looked for beyond.
        headroom: load that could be added / load.
        bill: cost and power; usd_per_million: per million output tokens, with its interval.
        figures: field of the record → its interval over replications.
        loss: one server down.
        bound_by: the resource that takes most of the time.
    """

    candidate: str
    ranked: Ranked
    sets: tuple[str, ...]
    replicas: int
    chips: int
    servers: int
    knee: float
    open: bool
    headroom: float
    bill: Bill
    usd_per_million: Interval
    figures: dict[str, Interval]
    loss: NodeLoss
    bound_by: str
    trials: tuple[Trial, ...]
    search: Knee

    @property
    def kilowatts(self) -> float:
        """At the meter."""
        return self.bill.watts / 1e3

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        layout = self.ranked.screened.layout
        return {
            "candidate": self.candidate,
            "parallel": asdict(layout.parallel),
            "precision": asdict(layout.precision),
            "max_num_seqs": layout.max_num_seqs,
            "max_num_batched_tokens": layout.max_num_batched_tokens,
            "replicas": self.replicas,
            "chips": self.chips,
            "servers": self.servers,
            "usd_per_million_output_tokens": asdict(self.usd_per_million),
            "usd_per_hour": self.bill.usd_per_hour,
            "usd_per_hour_by_cause": self.bill.parts,
            "krw_per_million_output_tokens": self.usd_per_million.mean * self.bill.krw_per_usd,
            "kw": self.kilowatts,
            "racks": self.bill.racks,
            "replica_knee_requests_per_s": self.knee,
            "knee_open": self.open,
            "headroom": self.headroom,
            "one_server_down": asdict(self.loss),
            "bound_by": self.bound_by,
            "figures": {name: asdict(found) for name, found in self.figures.items()},
            "bound_requests_per_s": self.ranked.screened.rate,
            "estimated_requests_per_s": self.ranked.estimate.rate,
            "sets": list(self.sets),
        }

"""What became of the models that share a cluster."""

from dataclasses import dataclass

from sim.planning.money import Bill
from sim.planning.teacher.placement import Server
from sim.planning.teacher.pools_spec import PoolsSpec
from sim.version import __version__


@dataclass(frozen=True, slots=True)
class PoolResult:
    """What became of the requests of one pool, or of `models` alike ones together.

    Attributes:
        chips: of all its replicas; requests: of its own users; spilled: share of them answered elsewhere;
            taken: requests of others answered here.
        attained: share of its own within their bounds; ttft, tpot: their 99th percentiles, s.
        busy: share of its runs in which chips run steps; output_rate: answer tokens/s asked of its replicas.
    """

    name: str
    models: int
    chips: int
    requests: int
    spilled: float
    taken: int
    attained: float
    meets: bool
    ttft: float
    tpot: float
    busy: float
    output_rate: float


@dataclass(frozen=True, slots=True)
class Pools:
    """The answer. `servers` are those in use, `left` the chips without a replica, unused servers included."""

    name: str
    spec: PoolsSpec
    pools: tuple[PoolResult, ...]
    servers: tuple[Server, ...]
    left: int
    bill: Bill

    def to_json(self) -> dict[str, object]:
        """The answer as JSON."""
        names = {field: field for field in ("name", "models", "chips", "requests", "attained", "busy")}
        return {
            "schema": 1,
            "version": __version__,
            "name": self.name,
            "servers": self.spec.servers,
            "servers_used": len(self.servers),
            "chips_left": self.left,
            "usd_per_hour": self.bill.usd_per_hour,
            "kilowatts": self.bill.watts / 1e3,
            "meets_slo": all(pool.meets for pool in self.pools),
            "pools": [
                {key: getattr(pool, field) for key, field in names.items()}
                | {
                    "spilled": pool.spilled,
                    "taken": pool.taken,
                    "meets_slo": pool.meets,
                    "p99_ttft_ms": 1e3 * pool.ttft,
                    "p99_tpot_ms": 1e3 * pool.tpot,
                    "output_throughput": pool.output_rate,
                }
                for pool in self.pools
            ],
            "placement": [server.models for server in self.servers],
        }

"""What a country's load takes at its peak, and how sure that is."""

import math
from dataclasses import asdict, dataclass

from sim.planning.money import Bill
from sim.planning.national.day import Day
from sim.planning.national.schema import NationalSpec
from sim.planning.national.splitting import METRICS, SplitError
from sim.planning.plan.fleet import Interval
from sim.scenario.scenario import Scenario
from sim.version import __version__


@dataclass(frozen=True, slots=True)
class ServiceResult:
    """One service at the peak that decides.

    Attributes:
        rate: requests/s of the country then; attained: share of its requests within its bounds.
        p99: 99th percentiles, s, by ttft, tpot, e2el; intervals are over replications.
    """

    name: str
    rate: float
    attained: Interval
    meets: bool
    p99: dict[str, Interval]


@dataclass(frozen=True, slots=True)
class NationalResult:
    """The answer.

    Attributes:
        peak: time of day that decides, s; rate: requests/s then.
        groups, replicas, chips, servers: of the country's fleet.
        bill: its cost, and its power with every replica busy.
        simulated: requests of one run of one group; stands_for: those of the country in the same time.
        splitting: what dividing a fleet into groups did to its percentiles; compared: replicas of that fleet.
        scenario: one replica at its share, ready to be run.
    """

    name: str
    spec: NationalSpec
    day: Day
    peak: float
    rate: float
    groups: int
    replicas: int
    chips: int
    servers: int
    bill: Bill
    bound_by: str
    services: tuple[ServiceResult, ...]
    simulated: int
    splitting: tuple[SplitError, ...]
    compared: int
    scenario: Scenario

    @property
    def megawatts(self) -> float:
        """Power at the meter at the peak, MW."""
        return self.bill.watts / 1e6

    @property
    def daily_requests(self) -> float:
        """Requests of a day."""
        return 86400.0 * self.spec.rate

    @property
    def stands_for(self) -> float:
        """Requests of the country in the time that one run simulates."""
        return float(self.simulated) * self.groups

    def to_json(self) -> dict[str, object]:
        """The answer as JSON."""
        return {
            "schema": 1,
            "version": __version__,
            "name": self.name,
            "daily_requests": self.daily_requests,
            "peak_time_s": self.peak,
            "peak_request_rate": self.rate,
            "group": self.spec.group,
            "groups": self.groups,
            "replicas": self.replicas,
            "chips": self.chips,
            "servers": self.servers,
            "megawatts": self.megawatts,
            "usd_per_hour": self.bill.usd_per_hour,
            "racks": self.bill.racks,
            "bound_by": self.bound_by,
            "services": [
                {
                    "name": service.name,
                    "request_rate": service.rate,
                    "slo_attainment": asdict(service.attained),
                    "meets_slo": service.meets,
                    **{f"p99_{name}_ms": _ms(service.p99[name]) for name in METRICS},
                }
                for service in self.services
            ],
            "requests_simulated": self.simulated,
            "requests_stood_for": self.stands_for,
            "splitting": [
                {
                    "split": error.split,
                    "groups": error.groups,
                    "replicas": self.compared,
                    **{f"p99_{name}_error": asdict(error.errors[name]) for name in METRICS},
                }
                for error in self.splitting
            ],
        }


def _ms(seconds: Interval) -> dict[str, float | None]:
    """An interval in ms; null where no request has the latency."""
    return {
        name: None if math.isnan(value) else 1e3 * value
        for name, value in asdict(seconds).items()
    }  # fmt: skip

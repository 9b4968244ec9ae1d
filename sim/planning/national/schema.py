"""A question of national scale as a user writes it."""

from pathlib import Path
from typing import Annotated, Self, cast

from pydantic import BaseModel, Field, model_validator

from sim import documents
from sim.documents import WRITTEN
from sim.metrics import SloSpec
from sim.planning.loadless import refuse_load
from sim.planning.money import Money, Rental
from sim.units import Seconds
from sim.workload.arrivals.gamma import Variation
from sim.workload.curves import Curve

Size = Annotated[int, Field(ge=1, strict=True)]
Amount = Annotated[float, Field(gt=0, allow_inf_nan=False)]
DAY = 86400.0


class ServiceSpec(BaseModel):
    """One service: how many use it, when, what they ask, and what they are promised."""

    model_config = WRITTEN

    name: Annotated[str, Field(min_length=1, description="as it stands in results")]
    daily_users: Amount = Field(description="people, or machines, that use it on a day")
    requests_per_user: Amount = Field(description="requests of one of them on a day")
    curve: Curve = Field(description="how the rate changes over the day")
    cv: Variation = Field(default=1.0, description="burstiness within minutes; 1 is Poisson")
    prompt_tokens: dict[str, object] = Field(description="as in a workload")
    output_tokens: dict[str, object] = Field(description="as in a workload")
    prefix: dict[str, object] | None = Field(default=None, description="as in a workload")
    priority: Annotated[int, Field(ge=-(2**31), le=2**31, strict=True)] = Field(
        default=0, description="smaller is more urgent, for engines with policy priority"
    )
    slo: SloSpec = Field(description="bounds of its requests")

    @property
    def rate(self) -> float:
        """Requests/s, mean over the day."""
        return self.daily_users * self.requests_per_user / DAY


class NationalSpec(BaseModel):
    """Serve a country's services within their bounds at the peak of the day: with how many replicas?"""

    model_config = WRITTEN

    schema_version: Annotated[int, Field(alias="schema", ge=1, le=1)] = 1
    scenario: dict[str, object] = Field(
        description="as a scenario without workload and slo; the deployment is that of one replica"
    )
    services: Annotated[tuple[ServiceSpec, ...], Field(min_length=1)]
    group: Size = Field(default=16, description="replicas that are simulated together, behind the router")
    window: Annotated[Seconds, Field(gt=0)] = Field(
        default=300.0, description="time around each peak that is simulated"
    )
    replications: Annotated[int, Field(ge=2, le=100, strict=True)] = Field(
        default=4, description="runs of the answer, and of the comparison with an undivided fleet"
    )
    tolerance: Annotated[float, Field(gt=0, le=0.5, strict=True)] = Field(
        default=0.05, description="relative width at which the search for a group's load stops"
    )
    money: Money = Field(default_factory=Rental, description="how cost is counted")
    seed: Annotated[int, Field(ge=0, strict=True)] = 0

    @model_validator(mode="after")
    def _the_rest_is_here(self) -> Self:
        refuse_load(self.scenario, "services and seed")
        names = [service.name for service in self.services]
        if len({*names}) < len(names):
            raise ValueError("two services have the same name")
        return self

    @property
    def rate(self) -> float:
        """Requests/s of all services, mean over the day."""
        return sum(service.rate for service in self.services)


def read_national(path: Path) -> NationalSpec:
    """The question in a file.

    Raises:
        UserError: for a file that cannot be read or says what no such question says.
    """
    document = documents.load(path)
    return documents.validate(NationalSpec, cast("dict[str, object]", document.tree), document=document)

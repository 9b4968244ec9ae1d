"""What every autoscaling policy has in common: bounds, how often it looks, how long it hesitates.

Interval and stabilisation are those of Kubernetes' HorizontalPodAutoscaler (15 s, 300 s): it grows at once,
and shrinks to the largest number wanted within the stabilisation window.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Annotated, Self

from pydantic import BaseModel, Field, model_validator

from sim.documents import WRITTEN
from sim.units import Seconds


@dataclass(frozen=True, slots=True)
class Demand:
    """What a policy looks at.

    Attributes:
        replicas: that serve or are on their way.
        requests: in the engines and at the gateway.
        kv_used: share of the KV blocks of the serving replicas that requests hold.
        first_tokens: TTFT (s) of the requests that got their first token since the last look, or that still
            wait for it, then what they have waited so far.
    """

    replicas: int
    requests: int
    kv_used: float
    first_tokens: tuple[float, ...]


class Scaling(BaseModel):
    """Bounds and times of an autoscaler; `deployment.replicas` is the most it may have."""

    model_config = WRITTEN

    least: Annotated[int, Field(ge=1, strict=True, description="replicas kept whatever the load")] = 1
    first: Annotated[int, Field(ge=1, strict=True)] | None = Field(
        default=None, description="replicas that serve at the start; `least` if left out"
    )
    interval: Annotated[Seconds, Field(gt=0, description="time between two looks")] = 15.0
    delay: Annotated[
        Seconds, Field(ge=0, description="from the decision until a new replica's chips are at hand")
    ] = 30.0
    stabilisation: Annotated[
        Seconds, Field(ge=0, description="for how long fewer must be wanted before one is taken away")
    ] = 300.0

    @model_validator(mode="after")
    def _starts_within_bounds(self) -> Self:
        if self.first is not None and self.first < self.least:
            raise ValueError(f"'first' is {self.first}: fewer than the {self.least} that are kept (least)")
        return self

    @property
    def at_start(self) -> int:
        """Replicas that serve at the start."""
        return self.least if self.first is None else self.first

    @abstractmethod
    def wanted(self, demand: Demand) -> int:
        """How many replicas there should be now; the bounds are the caller's."""

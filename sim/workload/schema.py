"""What a user may write under `workload:`."""

from typing import Annotated, Self

from pydantic import BaseModel, Field, model_validator

from sim.documents import WRITTEN
from sim.units import Seconds
from sim.workload.arrivals import Arrivals, Closed, Source
from sim.workload.extent import Extent
from sim.workload.lengths import Lengths
from sim.workload.limits import MOST_REQUESTS
from sim.workload.prefix import SharedPrefix
from sim.workload.priority import PriorityMix


class WorkloadSpec(BaseModel):
    """The requests that arrive: when, how long, how urgent, with what in common."""

    model_config = WRITTEN

    arrivals: Arrivals = Field(description="arrival process, or a trace")
    prompt_tokens: Lengths | None = Field(default=None, description="prompt lengths; a trace brings its own")
    output_tokens: Lengths | None = Field(default=None, description="output lengths; a trace brings its own")
    num_requests: Annotated[int, Field(ge=1, le=MOST_REQUESTS, strict=True)] | None = Field(
        default=None, description="requests in all"
    )
    duration: Annotated[Seconds, Field(gt=0)] | None = Field(
        default=None, description="time during which requests arrive"
    )
    prefix: SharedPrefix | None = Field(default=None, description="system prompts that requests share")
    priority: PriorityMix | None = Field(default=None, description="priorities of the requests")

    @model_validator(mode="after")
    def _arrivals_have_what_they_need(self) -> Self:
        process = self.arrivals.process
        if isinstance(self.arrivals, Source):
            given = [n for n in ("prompt_tokens", "output_tokens", "prefix") if getattr(self, n) is not None]
            if given:
                raise ValueError(
                    f"'{given[0]}' cannot be given: {process} arrivals bring it with each request"
                )
        else:
            missing = [n for n in ("prompt_tokens", "output_tokens") if getattr(self, n) is None]
            if missing:
                raise ValueError(f"'{missing[0]}' is missing: {process} arrivals say only when requests come")
        if isinstance(self.arrivals, Closed) and self.num_requests is None:
            raise ValueError("'num_requests' is missing: a closed loop has no times to stop it")
        if process != "trace" and self.num_requests is None and self.duration is None:
            raise ValueError(f"'num_requests' or 'duration' is missing: {process} arrivals go on for ever")
        return self

    @property
    def extent(self) -> Extent:
        """How much of the arrivals the run takes."""
        return Extent(self.num_requests, self.duration)

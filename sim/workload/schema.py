"""What a user may write under `workload:`."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from sim.units import Seconds
from sim.workload.arrivals import Process, Source, Trace
from sim.workload.arrivals.closed import Closed
from sim.workload.arrivals.sessions import Sessions
from sim.workload.clients import Clients
from sim.workload.demand import Texts
from sim.workload.extent import Extent
from sim.workload.limits import MOST_REQUESTS


class WorkloadSpec(Texts):
    """The requests that arrive: when, how long, how urgent, with what in common."""

    arrivals: Annotated[Process | Sessions | Source | Clients, Field(discriminator="process")] = Field(
        description="arrival process, or a trace"
    )
    num_requests: Annotated[int, Field(ge=1, le=MOST_REQUESTS, strict=True)] | None = Field(
        default=None, description="requests in all"
    )
    duration: Annotated[Seconds, Field(gt=0)] | None = Field(
        default=None, description="time during which requests arrive, or sessions start"
    )

    @model_validator(mode="after")
    def _arrivals_have_what_they_need(self) -> Self:
        arrivals = self.arrivals
        self.check(arrivals.process, isinstance(arrivals, Source | Clients))
        closed = arrivals.starts if isinstance(arrivals, Sessions) else arrivals
        if isinstance(closed, Closed) and self.num_requests is None:
            raise ValueError("'num_requests' is missing: a closed loop has no times to stop it")
        endless = not isinstance(arrivals, Trace)
        if endless and self.num_requests is None and self.duration is None:
            raise ValueError(
                f"'num_requests' or 'duration' is missing: {arrivals.process} arrivals go on for ever"
            )
        return self

    @property
    def extent(self) -> Extent:
        """How much of the arrivals the run takes."""
        return Extent(self.num_requests, self.duration)

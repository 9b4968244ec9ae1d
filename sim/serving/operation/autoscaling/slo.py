"""SLO: more replicas while first tokens come too late, one fewer while there is ease.

    late   = share of recent first tokens above `ttft`
    late > 1 - attainment            → replicas · (1 + step), at least one more
    all within half of `ttft`        → one fewer
    otherwise                        → as many

Up by a share and down by one: overload hurts users at once, idle replicas only cost (the asymmetry of
congestion control, and of SLO-driven autoscalers such as the planner of NVIDIA Dynamo).
"""

from math import ceil
from typing import Annotated, Literal

from pydantic import Field

from sim.serving.operation.autoscaling.scaling import Demand, Scaling
from sim.units import Seconds


class SloScaling(Scaling):
    """First tokens in time."""

    policy: Literal["slo"]
    ttft: Annotated[Seconds, Field(gt=0, description="longest time to the first token")]
    attainment: Annotated[float, Field(gt=0, lt=1, description="share of first tokens in time")] = 0.99
    step: Annotated[
        float, Field(gt=0, allow_inf_nan=False, description="share of replicas added at once")
    ] = 0.2

    def wanted(self, demand: Demand) -> int:
        """The rule above; as many as there are while nobody asks for anything."""
        times, replicas = demand.first_tokens, demand.replicas
        if not times:
            return replicas if demand.requests else replicas - 1
        late = sum(time > self.ttft for time in times) / len(times)
        if late > 1.0 - self.attainment:
            return replicas + max(1, ceil(self.step * replicas))
        return replicas - 1 if max(times) <= self.ttft / 2 else replicas

"""Queue: wanted = ⌈requests / requests per replica⌉, as KEDA scales on a queue's length."""

from math import ceil
from typing import Annotated, Literal

from pydantic import Field

from sim.serving.operation.autoscaling.scaling import Demand, Scaling


class QueueScaling(Scaling):
    """So many requests to a replica."""

    policy: Literal["queue"]
    requests: Annotated[float, Field(gt=0, allow_inf_nan=False, description="requests per replica")]

    def wanted(self, demand: Demand) -> int:
        """⌈requests / target⌉."""
        return ceil(demand.requests / self.requests)

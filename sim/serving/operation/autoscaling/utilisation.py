"""Utilisation: wanted = ⌈replicas · utilisation / target⌉, the rule of Kubernetes' HorizontalPodAutoscaler,
which does nothing while utilisation / target is within 0.1 of 1. Utilisation is the share of the KV blocks
that requests hold (vLLM's `kv_cache_usage_perc`)."""

from math import ceil
from typing import Annotated, Literal

from pydantic import Field

from sim.serving.operation.autoscaling.scaling import Demand, Scaling

TOLERANCE = 0.1


class UtilisationScaling(Scaling):
    """KV caches so full."""

    policy: Literal["utilisation"]
    kv_used: Annotated[float, Field(gt=0, le=1, description="share of KV blocks held")] = 0.6

    def wanted(self, demand: Demand) -> int:
        """HPA's rule."""
        ratio = demand.kv_used / self.kv_used
        return demand.replicas if abs(ratio - 1.0) <= TOLERANCE else ceil(demand.replicas * ratio)

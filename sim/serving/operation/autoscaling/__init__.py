"""How many replicas there should be. The union of specs is the registry: a new policy is its file and its
name here."""

from typing import Annotated

from pydantic import Field

from sim.serving.operation.autoscaling.queue import QueueScaling
from sim.serving.operation.autoscaling.scaling import Demand, Scaling
from sim.serving.operation.autoscaling.slo import SloScaling
from sim.serving.operation.autoscaling.utilisation import UtilisationScaling

Autoscaling = Annotated[QueueScaling | UtilisationScaling | SloScaling, Field(discriminator="policy")]

__all__ = ["Autoscaling", "Demand", "Scaling"]

"""Who is turned away at the gateway. The union of specs is the registry: a new policy is its file and its
name here."""

from typing import Annotated

from pydantic import Field

from sim.serving.operation.admission.deadline import Deadline
from sim.serving.operation.admission.gate import Gate, Seen
from sim.serving.operation.admission.queue_limit import QueueLimit
from sim.serving.operation.admission.token_bucket import TokenBucket

Admission = Annotated[TokenBucket | QueueLimit | Deadline, Field(discriminator="policy")]

__all__ = ["Admission", "Gate", "Seen"]

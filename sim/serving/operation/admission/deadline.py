"""Deadline: a request that has waited longer at the gateway is given up instead of sent to an engine.

An answer nobody waits for any more would only make the others late; load is shed oldest first (SGLang
router's `--queue-timeout-secs`, Envoy's request timeout). It is looked at when its turn comes.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from sim.documents import WRITTEN
from sim.serving.operation.admission.gate import Seen
from sim.serving.records import Reason
from sim.units import Seconds


class Deadline(BaseModel):
    """A limit on the time at the gateway."""

    model_config = WRITTEN

    policy: Literal["deadline"]
    wait: Annotated[Seconds, Field(gt=0, description="longest time at the gateway")]

    def gate(self) -> "_Deadline":
        """The limit at work."""
        return _Deadline(self.wait)


class _Deadline:
    reason = Reason.DEADLINE

    def __init__(self, wait: float) -> None:
        self.wait = wait

    def lets_in(self, client: int, time: float, seen: Seen) -> bool:
        """Everybody may wait."""
        return True

    def lets_start(self, waited: float) -> bool:
        """Whether the wait was short enough."""
        return waited <= self.wait

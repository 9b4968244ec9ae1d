"""Queue limit: refused when waiting + inside ≥ limit · open replicas, as `--max-concurrent-requests` and
`--queue-size` of SGLang's router bound what is in the system. M/M/c becomes M/M/c/K."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from sim.documents import WRITTEN
from sim.serving.operation.admission.gate import Seen
from sim.serving.records import Reason


class QueueLimit(BaseModel):
    """A limit on the requests in the system."""

    model_config = WRITTEN

    policy: Literal["queue_limit"]
    requests: Annotated[
        int, Field(ge=1, strict=True, description="most requests in the system, per open replica")
    ]

    def gate(self) -> "_Limit":
        """The limit at work."""
        return _Limit(self.requests)


class _Limit:
    reason = Reason.QUEUE_FULL

    def __init__(self, requests: int) -> None:
        self.requests = requests

    def lets_in(self, client: int, time: float, seen: Seen) -> bool:
        """Whether there is a place; with no replica open, one replica's places."""
        return seen.waiting + seen.inside < self.requests * max(1, seen.open)

    def lets_start(self, waited: float) -> bool:
        """Who came in may start."""
        return True

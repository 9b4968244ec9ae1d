"""What an admission policy sees and answers."""

from dataclasses import dataclass
from typing import Protocol

from sim.serving.records import Reason


@dataclass(slots=True)
class Seen:
    """The fleet as the gateway knows it.

    Attributes:
        waiting: requests at the gateway; inside: requests in engines; open: replicas that take requests.
    """

    waiting: int = 0
    inside: int = 0
    open: int = 0


class Gate(Protocol):
    """Refuses requests. `reason` is what a refused request is told."""

    reason: Reason

    def lets_in(self, client: int, time: float, seen: Seen) -> bool:
        """Whether a request of that client may come in, at its arrival."""
        ...

    def lets_start(self, waited: float) -> bool:
        """Whether a request that waited so long (s) at the gateway may still go to an engine."""
        ...

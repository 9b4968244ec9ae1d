"""How much of a workload a run takes."""

from dataclasses import dataclass

from sim.errors import UserError
from sim.workload.limits import MOST_REQUESTS


@dataclass(frozen=True, slots=True)
class Extent:
    """The first `count` requests, those that arrive within `duration` seconds, or whichever ends first."""

    count: int | None
    duration: float | None

    def expected(self, rate: float) -> int:
        """Requests an unbounded process of this rate (1/s) has to be able to give.

        Raises:
            UserError: more than `MOST_REQUESTS`.
        """
        if self.count is not None:
            return self.count
        assert self.duration is not None
        expected = rate * self.duration
        if expected > MOST_REQUESTS:
            raise UserError(
                f"workload.duration: {self.duration:g} s at {rate:g} requests/s are {expected:.3g} requests; "
                f"at most {MOST_REQUESTS:,} are allowed"
            )
        return int(expected)

"""Bursts: `size` requests at one instant, every `every` seconds. One burst of all of them is offline work."""

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from sim.units import Seconds
from sim.workload.arrivals.renewal import Policy
from sim.workload.extent import Extent


class Burst(Policy):
    """Groups of simultaneous requests."""

    process: Literal["burst"]
    size: Annotated[int, Field(ge=1, strict=True, description="requests per burst")]
    every: Annotated[Seconds, Field(gt=0, description="time between bursts")]

    def times(self, extent: Extent, draws: np.random.Generator) -> NDArray[np.float64]:
        """Arrival times, s; nothing is drawn."""
        rate = self.size / self.every
        count = extent.count if extent.count is not None else extent.expected(rate) + self.size
        times = (np.arange(count) // self.size).astype(np.float64) * self.every
        return times if extent.duration is None else times[times <= extent.duration]

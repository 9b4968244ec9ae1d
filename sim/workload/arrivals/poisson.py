"""Poisson arrivals: independent exponential gaps of mean 1/rate."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sim.workload.arrivals.renewal import Policy, Rate, renewal_times
from sim.workload.extent import Extent


class Poisson(Policy):
    """Independent arrivals at a mean rate."""

    process: Literal["poisson"]
    rate: Rate

    def times(self, extent: Extent, draws: np.random.Generator) -> NDArray[np.float64]:
        """Arrival times, s."""
        return renewal_times(draws.standard_exponential, self.rate, extent)

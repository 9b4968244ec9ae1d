"""Constant arrivals: request i comes at i/rate."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sim.workload.arrivals.renewal import Policy, Rate
from sim.workload.extent import Extent


class ConstantRate(Policy):
    """Equal gaps."""

    process: Literal["constant"]
    rate: Rate

    def times(self, extent: Extent, draws: np.random.Generator) -> NDArray[np.float64]:
        """Arrival times, s; nothing is drawn."""
        count = extent.count if extent.count is not None else extent.expected(self.rate) + 1
        times = np.arange(count) / self.rate
        return times if extent.duration is None else times[times <= extent.duration]

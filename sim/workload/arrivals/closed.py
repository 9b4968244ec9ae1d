"""Closed loop: `concurrency` requests are in the system at any time; one that finishes lets the next in."""

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from sim.workload.arrivals.renewal import Policy
from sim.workload.extent import Extent


class Closed(Policy):
    """A fixed number of users who ask again as soon as they are answered."""

    process: Literal["closed"]
    concurrency: Annotated[int, Field(ge=1, strict=True, description="requests in the system at once")]

    def times(self, extent: Extent, draws: np.random.Generator) -> NDArray[np.float64]:
        """All zero: the service decides when each request enters."""
        assert extent.count is not None
        return np.zeros(extent.count)

"""Normal lengths, cut off below one token: mean and standard deviation mean · cv."""

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sim.workload.lengths.bounds import Bounded, Mean, Variation
from sim.workload.lengths.normal_quantile import normal_cumulative, normal_quantile


class Normal(Bounded):
    """Lengths around a mean; `mean` and `cv` are those before bounds."""

    distribution: Literal["normal"]
    mean: Mean
    cv: Variation

    def sample(self, u: NDArray[np.float64], base: Path | None = None) -> NDArray[np.int64]:
        """Lengths of the requests with these uniforms."""
        sigma = self.mean * self.cv
        inside = self.within_bounds(u, lambda x: normal_cumulative((x - self.mean) / sigma))
        return self.rounded(self.mean + sigma * normal_quantile(inside))

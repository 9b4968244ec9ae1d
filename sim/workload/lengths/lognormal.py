"""Lognormal lengths: the logarithm is normal with

σ² = ln(1 + cv²)        μ = ln(mean) - σ²/2
"""

import math
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sim.workload.lengths.bounds import Bounded, Mean, Variation
from sim.workload.lengths.normal_quantile import normal_cumulative, normal_quantile


class Lognormal(Bounded):
    """Lengths with a long tail; `mean` and `cv` are those before bounds."""

    distribution: Literal["lognormal"]
    mean: Mean
    cv: Variation

    def sample(self, u: NDArray[np.float64], base: Path | None = None) -> NDArray[np.int64]:
        """Lengths of the requests with these uniforms."""
        variance = math.log1p(self.cv * self.cv)
        sigma, mu = math.sqrt(variance), math.log(self.mean) - variance / 2
        inside = self.within_bounds(u, lambda x: normal_cumulative((math.log(x) - mu) / sigma))
        return self.rounded(np.exp(mu + sigma * normal_quantile(inside)))

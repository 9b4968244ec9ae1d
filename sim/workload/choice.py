"""Choosing among weighted alternatives by a uniform column."""

import numpy as np
from numpy.typing import NDArray


def chosen(weights: NDArray[np.float64], u: NDArray[np.float64]) -> NDArray[np.int64]:
    """Index i with Σ_{j<i} w_j ≤ u·Σw < Σ_{j≤i} w_j, for each u in [0, 1)."""
    cumulative = np.cumsum(weights)
    place = np.asarray(np.searchsorted(cumulative, u * cumulative[-1], side="right"), np.int64)
    return np.minimum(place, len(weights) - 1)

"""What every daily curve is: points over 24 hours, straight lines between them, mean 1."""

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from sim.documents import WRITTEN

DAY = 86400.0
Points = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Times of day (s, ascending, in [0, DAY)) and the factor at each."""


class DailyCurve(BaseModel):
    """A curve that repeats every day."""

    model_config = WRITTEN


def of_mean_one(times: NDArray[np.float64], factors: NDArray[np.float64]) -> Points:
    """The points with the factors divided by their mean over the day, Σ (f_i + f_{i+1})/2 · Δt_i / DAY."""
    gaps = np.diff(times, append=times[0] + DAY)
    mean = float(((factors + np.roll(factors, -1)) / 2 * gaps).sum()) / DAY
    return times, factors / mean

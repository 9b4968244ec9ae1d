"""Arrivals with independent gaps: t_i = Σ_{j ≤ i} g_j / rate, g of mean 1.

Unit gaps are drawn and then divided by the rate, so that runs at different rates share their arrivals.
"""

from collections.abc import Callable
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from sim.documents import WRITTEN
from sim.workload.extent import Extent

Rate = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True, description="requests per second")]


class Policy(BaseModel):
    """A choice the user names, with its parameters."""

    model_config = WRITTEN


def renewal_times(
    unit_gaps: Callable[[int], NDArray[np.float64]], rate: float, extent: Extent
) -> NDArray[np.float64]:
    """Arrival times (s) of a renewal process.

    Args:
        unit_gaps: draws n further gaps of mean 1.
        rate: requests per second.
        extent: count, duration or both.
    """
    expected = extent.expected(rate)
    if extent.count is not None:
        times = np.cumsum(unit_gaps(extent.count)) / rate
        return times if extent.duration is None else times[times <= extent.duration]
    assert extent.duration is not None
    end = extent.duration * rate
    parts = [np.cumsum(unit_gaps(expected + expected // 8 + 64))]
    while parts[-1][-1] <= end:
        parts.append(parts[-1][-1] + np.cumsum(unit_gaps(expected // 8 + 64)))
    times = np.concatenate(parts)
    return times[times <= end] / rate

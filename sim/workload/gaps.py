"""Gaps of mean 1 and a given coefficient of variation, gamma or Weibull.

gamma    shape k = 1/cv²
Weibull  shape k with Γ(1 + 2/k)/Γ(1 + 1/k)² = 1 + cv², scale 1/Γ(1 + 1/k)
"""

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Family = Literal["gamma", "weibull"]


def unit_gaps(family: Family, cv: float, draws: np.random.Generator) -> Callable[[int], NDArray[np.float64]]:
    """A function that draws n further gaps."""
    if family == "gamma":
        shape = cv**-2
        return lambda n: draws.standard_gamma(shape, n) / shape
    shape = weibull_shape(cv)
    mean = math.gamma(1 + 1 / shape)
    return lambda n: draws.weibull(shape, n) / mean


def weibull_shape(cv: float) -> float:
    """The shape of a Weibull distribution with this coefficient of variation, by bisection of log k."""

    def excess(log_shape: float) -> float:
        inverse = math.exp(-log_shape)
        ratio = math.lgamma(1 + 2 * inverse) - 2 * math.lgamma(1 + inverse)
        return ratio - math.log1p(cv * cv)

    low, high = math.log(1e-2), math.log(1e3)  # cv 1e29 … 1e-3; the ratio falls with the shape
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle) > 0 else (low, middle)
    return math.exp((low + high) / 2)

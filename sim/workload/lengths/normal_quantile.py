"""The standard normal distribution function and its inverse, on columns.

The inverse is P. J. Acklam's rational approximation (2003), relative error below 1.15e-9: one quotient of
polynomials in (u - ½)² for the centre, one in sqrt(-2 ln u) for each tail.
"""

import math

import numpy as np
from numpy.typing import NDArray

_CENTRE_NUMERATOR = (
    -3.969683028665376e01, 2.209460984245205e02, -2.759285104469687e02,
    1.383577518672690e02, -3.066479806614716e01, 2.506628277459239e00,
)  # fmt: skip
_CENTRE_DENOMINATOR = (
    -5.447609879822406e01, 1.615858368580409e02, -1.556989798598866e02,
    6.680131188771972e01, -1.328068155288572e01, 1.0,
)  # fmt: skip
_TAIL_NUMERATOR = (
    -7.784894002430293e-03, -3.223964580411365e-01, -2.400758277161838e00,
    -2.549732539343734e00, 4.374664141464968e00, 2.938163982698783e00,
)  # fmt: skip
_TAIL_DENOMINATOR = (
    7.784695709041462e-03,
    3.224671290700398e-01,
    2.445134137142996e00,
    3.754408661907416e00,
    1.0,
)
_TAIL = 0.02425
_LEAST = 1e-300  # where a tail's logarithm still exists


def normal_cumulative(z: float) -> float:
    """P(Z ≤ z)."""
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


def normal_quantile(u: NDArray[np.float64]) -> NDArray[np.float64]:
    """z with P(Z ≤ z) = u, for 0 ≤ u ≤ 1; the very ends are finite."""
    centred = u - 0.5
    squared = centred * centred
    z = centred * np.polyval(_CENTRE_NUMERATOR, squared) / np.polyval(_CENTRE_DENOMINATOR, squared)
    low, high = u < _TAIL, u > 1.0 - _TAIL
    z[low] = _tail(u[low])
    z[high] = -_tail(1.0 - u[high])
    return z


def _tail(u: NDArray[np.float64]) -> NDArray[np.float64]:
    q = np.sqrt(-2.0 * np.log(np.maximum(u, _LEAST)))
    return np.polyval(_TAIL_NUMERATOR, q) / np.polyval(_TAIL_DENOMINATOR, q)

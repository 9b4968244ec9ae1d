"""The most probable parameters given few measurements and the family's prior.

  θ* = argmin Σ_i ρ( ln(simulated_i(θ)/measured_i) / s ) + Σ_j ( ln(θ_j/θ0_j)/σ_j )²
  ρ(z) = 2δ²(√(1 + (z/δ)²) − 1)                      quadratic near 0, linear for outliers

θ0 is the prior's value and σ_j = ln(high/low)/(2·1.645), its 90 % range read as log-normal. s = 0.12 is what
the form itself errs by where its parameters are known (docs/fidelity.md), δ = 1.5. Every parameter stays
within its prior's range widened by half of it on either side (on a logarithmic scale), and a share within 1.
With no measurements, or with such as do not depend on a parameter, the prior remains. Solved by damped
Gauss-Newton steps (Levenberg-Marquardt) with forward differences; steps that do not lower the sum are not
taken, so that the result is never worse than the prior.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import log

import numpy as np

from sim.operators.quantities import Array

FORM_ERROR = 0.12
BEND = 1.5
RANGE_90 = 2.0 * 1.645
LEAST_SIGMA = 0.05
"""A prior that states no range may move by about 5 %."""
_DIFFERENCE = 1e-3
_STEPS = 40
_DAMPINGS = 8


@dataclass(frozen=True, slots=True)
class Prior:
    """One parameter: its value, the range it was given, the most it may be (1 for a share)."""

    value: float
    low: float
    high: float
    most: float = float("inf")

    @property
    def sigma(self) -> float:
        """Standard deviation of its logarithm."""
        return max(log(self.high / self.low) / RANGE_90, LEAST_SIGMA)

    @property
    def bounds(self) -> tuple[float, float]:
        """Bounds of ln(θ/θ0)."""
        below, above = log(self.low / self.value), log(self.high / self.value)
        slack = 0.5 * (above - below)
        return below - slack, min(above + slack, log(self.most / self.value))


def most_probable(residuals: Callable[[Array], Array], priors: list[Prior]) -> Array:
    """The parameters θ*.

    Args:
        residuals: parameters → ln(simulated/measured) of every row.
    """
    value = np.array([p.value for p in priors])
    sigma = np.array([p.sigma for p in priors])
    low, high = (np.array(side) for side in zip(*(p.bounds for p in priors), strict=True))

    def scaled(x: Array) -> Array:
        return residuals(value * np.exp(x)) / FORM_ERROR

    def total(z: Array, x: Array) -> float:
        return float(
            np.sum(2.0 * BEND**2 * (np.sqrt(1.0 + (z / BEND) ** 2) - 1.0)) + np.sum((x / sigma) ** 2)
        )

    x = np.zeros(len(priors))
    z = scaled(x)
    best, damping = total(z, x), 1e-2
    for _ in range(_STEPS):
        slopes = np.stack([(scaled(x + _unit(len(x), j)) - z) / _DIFFERENCE for j in range(len(x))], axis=1)
        weight = 1.0 / np.sqrt(1.0 + (z / BEND) ** 2)
        curvature = slopes.T @ (slopes * weight[:, None]) + np.diag(1.0 / sigma**2)
        downhill = -(slopes.T @ (weight * z) + x / sigma**2)
        for _ in range(_DAMPINGS):
            step = np.linalg.solve(curvature + damping * np.diag(np.diag(curvature)), downhill)
            tried = np.clip(x + step, low, high)
            tried_z = scaled(tried)
            if (found := total(tried_z, tried)) < best:
                break
            damping *= 5.0
        else:
            break
        settled = best - found < 1e-5 * best
        x, z, best, damping = tried, tried_z, found, max(damping / 5.0, 1e-8)
        if settled:
            break
    return value * np.exp(x)


def _unit(n: int, j: int) -> Array:
    step = np.zeros(n)
    step[j] = _DIFFERENCE
    return step

"""What routing depends on, and how popular experts are.

    log-normal   p_e ∝ exp(s·z_e)            s the skew: 0 uniform, about 1.2 like a power law of exponent 1
    Zipf         p_e ∝ rank(z_e)^(−s)        s the exponent
    balanced     pairs dealt out evenly, whatever the odds

z_e standard normal, another of each draw: a draw stands for a layer. Its own skew is s·exp(spread·q), q the
draw's quantile of a normal distribution, so that layers differ.

Popularity drifts: its z in one step and in one `steps` later correlate by ρ = exp(−steps/drift). Loads are
those of today; what a placement knows is z_then = ρ·z + √(1 − ρ²)·w.
"""

from dataclasses import dataclass
from math import exp, sqrt

import numpy as np

from sim.deployment.deployment import Popularity
from sim.operators.quantities import Array

DRAWS = 6
_QUANTILES = (-1.383, -0.674, -0.210, 0.210, 0.674, 1.383)
"""Of a standard normal distribution at (d + ½)/DRAWS."""


@dataclass(frozen=True, slots=True)
class Balancing:
    """Replicas of experts, placed anew every `interval` steps by the loads of the `window` steps before.

    `redundant` are the slots beyond one for each expert; `drift` the steps in which the correlation of log
    popularity falls to 1/e.
    """

    redundant: int
    window: int
    interval: int
    drift: float

    def age(self, draw: int) -> float:
        """Steps since the middle of the window that the placement in force was made by; the draws spread over
        the interval, so that their mean is that over time."""
        return self.window / 2 + self.interval * (draw + 0.5) / DRAWS


@dataclass(frozen=True, slots=True)
class Routing:
    """What the loads of an MoE layer depend on, beside the token count.

    Attributes:
        skew: of log popularity, or the exponent of Zipf's law; spread: of the layers' skews, the standard
            deviation of their logarithm.
        groups, top_groups: a token's experts lie in so many of so many groups of neighbours (1, 1: anywhere).
        servers: boxes that the ranks lie in; balancing: None where expert e stays in slot e.
    """

    experts: int
    top_k: int
    ep: int
    groups: int = 1
    top_groups: int = 1
    skew: float = 0.0
    epoch: int = 0
    popularity: Popularity = "lognormal"
    spread: float = 0.0
    servers: int = 1
    balancing: Balancing | None = None

    @property
    def slots(self) -> int:
        """Experts with their replicas, on all ranks."""
        return self.experts + (self.balancing.redundant if self.balancing else 0)

    @property
    def per_rank(self) -> int:
        """Slots of the fullest rank."""
        return -(-self.slots // self.ep)

    def odds(self, z: Array, draw: int) -> Array:
        """Probabilities of the experts whose popularity is z, as a draw has them; they sum to 1."""
        skew = self.skew * exp(self.spread * _QUANTILES[draw])
        if self.popularity == "balanced":
            weights = np.ones_like(z)
        elif self.popularity == "zipf":
            ranks = np.empty(len(z))
            ranks[np.argsort(-z, kind="stable")] = np.arange(1.0, len(z) + 1.0)
            weights = ranks**-skew
        else:
            weights = np.exp(skew * z)
        return weights / weights.sum()


def earlier(z: Array, other: Array, steps: float, drift: float) -> Array:
    """Popularity so many steps before it was z; `other` is as random as z and independent of it."""
    correlation = exp(-steps / drift)
    return correlation * z + sqrt(1.0 - correlation**2) * other

"""The time of an operator by what it is spent on, and the p-norm that merges overlapping causes."""

from dataclasses import dataclass, field

import numpy as np

from sim.operators.quantities import Array


@dataclass(frozen=True, slots=True)
class Priced:
    """Seconds of one execution by cause, arrays over cases; they add up to the operator's time.

    Where ranks have unequal work, `compute` and `hbm` are the mean rank's, and `imbalance` is what the
    slowest takes beyond it: the others wait so long.
    """

    launch: Array
    compute: Array
    hbm: Array
    link: Array
    imbalance: Array = field(default_factory=lambda: np.zeros(1))

    @property
    def total(self) -> Array:
        """Seconds."""
        return self.launch + self.compute + self.hbm + self.link + self.imbalance

    def scaled(self, factor: Array | float) -> "Priced":
        """Every cause `factor` times as long."""
        return Priced(
            self.launch * factor,
            self.compute * factor,
            self.hbm * factor,
            self.link * factor,
            self.imbalance * factor,
        )


def norm(p: float, *parts: Array) -> Array:
    """(Σ partᵖ)^(1/p) of non-negative arrays, scaled by the largest so that nothing underflows."""
    top = parts[0]
    for part in parts[1:]:
        top = np.maximum(top, part)
    top = np.maximum(top, 1e-30)
    total = (parts[0] / top) ** p
    for part in parts[1:]:
        total = total + (part / top) ** p
    return top * total ** (1.0 / p)


def overlapped(launch: Array, compute: Array, hbm: Array, p: float) -> Priced:
    """launch + ‖compute, hbm‖_p, the norm shared out as computeᵖ : hbmᵖ."""
    merged = norm(p, compute, hbm)
    of_compute = (compute / np.maximum(merged, 1e-30)) ** p
    return Priced(launch, merged * of_compute, merged * (1.0 - of_compute), np.zeros_like(merged))

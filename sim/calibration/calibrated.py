"""What a calibration found: parameters before and after, and how well they fit what they were fitted to."""

from collections.abc import Mapping
from dataclasses import dataclass

from sim.figures import Figure
from sim.version import __version__


@dataclass(frozen=True, slots=True)
class CalibratedClass:
    """One class of operators.

    Attributes:
        n: measurements; before, after: mean |simulated/measured − 1| in percent with prior and fitted
            parameters; figures: the fitted parameters by name, with their ranges.
    """

    name: str
    n: int
    before: float
    after: float
    figures: Mapping[str, Figure]
    priors: Mapping[str, Figure]


@dataclass(frozen=True, slots=True)
class Calibration:
    """A chip's calibration: its classes, and what was left out and why."""

    chip: str
    classes: tuple[CalibratedClass, ...]
    skipped: Mapping[str, int]

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return {
            "schema": 1,
            "version": __version__,
            "kind": "calibration",
            "chip": self.chip,
            "classes": [
                {
                    "class": c.name,
                    "n": c.n,
                    "mape_before": c.before,
                    "mape_after": c.after,
                    "parameters": {
                        name: {"value": f.value, "low": f.low, "high": f.high, "prior": c.priors[name].value}
                        for name, f in c.figures.items()
                    },
                }
                for c in self.classes
            ],
            "skipped": [{"reason": reason, "n": n} for reason, n in self.skipped.items()],
        }

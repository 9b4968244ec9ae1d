"""The error of the operator model itself: a factor on the time of each class of operators.

    time = simulated time · e^(σ z),   z standard normal, one z for a class of operators on a chip

σ is read from hardware_profiles/model_error.yaml by class and level of calibration: that of the chip where it
is listed, else that of its family, else `prior`. The factor is 1 unless something is drawn.
"""

import math
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import cast

from sim.documents.reading import decode
from sim.figures import Figure, Resolution
from sim.units import NUMBER

_FILE = "model_error.yaml"
_DEVIATIONS = 1.6448536269514722
"""Standard deviations at the ends of a 90 % interval."""
PATH = "model_error"
"""Where the factors stand below the chip, and what their groups begin with."""


def time_factors(chip: str, family: str, resolution: Resolution) -> dict[str, float]:
    """Class of operators → factor on its time at the resolution's draw; none where nothing is drawn.

    Args:
        chip, family: names; resolution: the chip's.
    """
    if resolution.draw is None:
        return {}
    level, sigmas = _of(chip, family)
    return {
        name: resolution.take_error(f"{PATH}.{name}", _factor(sigma, f"{PATH}.{name}.{chip}", level))
        for name, sigma in sigmas.items()
    }


def _factor(sigma: float, group: str, level: str) -> Figure:
    end = math.exp(_DEVIATIONS * sigma)
    basis = "estimate" if level == "prior" else "measured"
    source = f"error of the operator model at calibration level {level}, {_FILE}"
    return Figure(1.0, NUMBER, 1.0 / end, end, basis, source, group)


def _of(chip: str, family: str) -> tuple[str, Mapping[str, float]]:
    """The chip's level of calibration, and σ by class there."""
    levels, sigmas = _table()
    level = levels.get(chip) or levels.get(family) or "prior"
    return level, sigmas[level]


@cache
def _table() -> tuple[Mapping[str, str], Mapping[str, Mapping[str, float]]]:
    """Chip or family → level; level → class → σ."""
    content = (files("hardware_profiles") / _FILE).read_bytes()
    tree = cast("Mapping[str, Mapping[str, object]]", decode(content, f"hardware_profiles/{_FILE}").tree)
    levels = {name: level for level, listed in tree["levels"].items() for name in cast("list[str]", listed)}
    return levels, cast("Mapping[str, Mapping[str, float]]", tree["sigma"])

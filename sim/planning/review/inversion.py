"""From what a grid of values comes to, to the least value that is enough.

    least = the lowest value such that it and every tested value above it meet the target

The set of values that meet is an interval where nothing below `least` meets as well; where it is none, more
can be worse somewhere, and the answer says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Inversion:
    """Attributes:
    least: place on the grid, None where even the last value does not meet.
    interval: those that meet are one run up to the last; also where none meets.
    """

    least: int | None
    interval: bool


def invert(meets: Sequence[bool]) -> Inversion:
    """Args: meets: whether each value of an ascending grid meets the target."""
    least = len(meets)
    while least > 0 and meets[least - 1]:
        least -= 1
    return Inversion(least if least < len(meets) else None, not any(meets[:least]))


def grid(low: float, high: float, per_octave: int) -> list[float]:
    """Powers of two in steps of 1/per_octave from low to high, both powers of two themselves."""
    lowest, steps = low, round(per_octave * _log2(high / low))
    return [lowest * 2.0 ** (k / per_octave) for k in range(steps + 1)]


def _log2(ratio: float) -> int:
    return round(ratio).bit_length() - 1

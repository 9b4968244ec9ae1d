"""The stretch of a model's layers that repeats, so that it need not be simulated again and again."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

LONGEST_PERIOD = 16
"""Layers of the longest cycle looked for; models mix kinds of layers in cycles of at most eight."""


@dataclass(frozen=True, slots=True)
class Repetition:
    """`times` cycles of `period` layers, the first of which is layer `start`."""

    start: int
    period: int
    times: int


def repetition(kinds: Sequence[Hashable]) -> Repetition:
    """The repetition that saves most layers; the earliest, then the shortest cycle where several do."""
    best = Repetition(0, max(1, len(kinds)), 1)
    for period in range(1, min(LONGEST_PERIOD, len(kinds)) + 1):
        start = 0
        while start + period <= len(kinds):
            alike = 0
            for one, following in zip(kinds[start:], kinds[start + period :], strict=False):
                if one != following:
                    break
                alike += 1
            times = alike // period + 1
            if (times - 1) * period > (best.times - 1) * best.period:
                best = Repetition(start, period, times)
            start += alike + 1
    return best


def simulated_layers(layers: int, repeated: Repetition, cycles: int) -> tuple[tuple[int, ...], int]:
    """The layers to simulate when `cycles` of the repetition stand for all, and how many cycles are left out.

    Returns:
        layers in order, and the cycles not among them.
    """
    kept = min(cycles, repeated.times)
    end = repeated.start + kept * repeated.period
    resume = repeated.start + repeated.times * repeated.period
    return (*range(end), *range(resume, layers)), repeated.times - kept

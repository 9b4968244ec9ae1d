"""The clock ahead of an engine: how long decode-only steps will take, without taking them."""

from collections.abc import Callable, Sequence

from sim.serving.decode_set import DecodeSet

State = tuple[int, list[float], list[float]]
"""(decodes, context sums, what one step adds to each) of one scheduler."""


def time_ahead(
    decoding: Sequence[DecodeSet], ticks: int, line: Callable[[list[State]], tuple[float, float, int]]
) -> float:
    """Duration of the next `ticks` steps of decode sets that step together; changes nothing.

    Args:
        line: (first, slope, length) of the steps that begin at the given states.
    """
    states: list[State] = [(d.count, d.sums.copy(), d.growth) for d in decoding]
    time = 0.0
    while ticks:
        first, slope, steps = line(states)
        steps = min(steps, ticks)
        time += steps * first + slope * (steps * (steps - 1) // 2)
        ticks -= steps
        for _, sums, growth in states:
            for j, per_step in enumerate(growth):
                sums[j] += steps * per_step
    return time

"""Requests that are done, counted per tick: none is done later than the table of ticks is long."""

from sim.dram.commands import FAR
from sim.dram.state import (
    COMPLETED,
    COUNTERS,
    DONE,
    DUE,
    IN_FLIGHT,
    LINES,
    REQUESTS,
    SLOTS,
    SWEPT,
    Ints,
)


def complete(m: Ints, i: int, tick: int) -> None:
    """Request `i` is done at `tick`."""
    m[REQUESTS + i, DONE] = tick
    m[LINES + (tick & (SLOTS - 1)), DUE] += 1


def sweep(m: Ints, tick: int) -> None:
    """Counts the completions before `tick`."""
    swept = m[COUNTERS, SWEPT]
    for passed in range(swept, min(tick, swept + SLOTS)):
        slot = LINES + (passed & (SLOTS - 1))
        count = m[slot, DUE]
        if count:
            m[COUNTERS, COMPLETED] += count
            m[COUNTERS, IN_FLIGHT] -= count
            m[slot, DUE] = 0
    m[COUNTERS, SWEPT] = tick


def next_completion(m: Ints, tick: int) -> int:
    """The first tick from `tick` on at which a request will be done."""
    for later in range(tick, tick + SLOTS):
        if m[LINES + (later & (SLOTS - 1)), DUE]:
            return later
    return FAR

"""When a command may go to a bank, and what it forbids once it has gone.

A command may issue at tick t if ready[node, command] <= t at each node above the bank and at the bank itself.
Issuing `previous` raises, for each constraint (level, previous, following, ticks, window n),

    ready[node, following] = max(ready[node, following], t_n + ticks)

t_n being the n-th last `previous` at that node; a sibling constraint raises it at the other nodes of the
level under the same parent instead. That is the whole of DRAM timing: tRCD, tFAW and bus occupancy are rows
of one table. The functions are written for numba (see sim.dram.compiled) and are plain Python without it.
"""

from sim.dram.commands import ACT, CLOSED
from sim.dram.state import (
    ACCESSES,
    ACTS,
    BANKS,
    CONSTRAINTS,
    COUNTERS,
    FIRST_CONSTRAINT,
    FOLLOWING,
    HISTORY,
    LEVEL,
    LOG_ROWS,
    LOGGED,
    NODES,
    OPEN_ROW,
    PATH,
    PATH_LENGTH,
    READY,
    RECENT,
    REQUESTS,
    SHARED_LEVELS,
    SIBLING,
    SIBLING_COUNT,
    SIBLING_FIRST,
    STREAM,
    TICKS,
    WIDEST,
    WINDOW,
    Ints,
)


def earliest(m: Ints, bank: int, command: int) -> int:
    """First tick at which the constraints allow `command` at `bank`."""
    return max(earliest_shared(m, bank, command), earliest_own(m, bank, command))


def earliest_shared(m: Ints, bank: int, command: int) -> int:
    """What the channel and the pseudo-channel say: the same for all banks of the pseudo-channel."""
    tick = 0
    for level in range(m[COUNTERS, SHARED_LEVELS]):
        tick = max(tick, m[NODES + m[BANKS + bank, PATH + level], READY + command])
    return tick


def earliest_own(m: Ints, bank: int, command: int) -> int:
    """What the levels below the pseudo-channel say."""
    tick = 0
    for level in range(m[COUNTERS, SHARED_LEVELS], m[COUNTERS, PATH_LENGTH]):
        tick = max(tick, m[NODES + m[BANKS + bank, PATH + level], READY + command])
    return tick


def issue(m: Ints, bank: int, command: int, tick: int) -> None:
    """Raises the earliest ticks of whatever has to keep a distance from this command."""
    for k in range(m[COUNTERS, FIRST_CONSTRAINT + command], m[COUNTERS, FIRST_CONSTRAINT + command + 1]):
        node = m[BANKS + bank, PATH + m[CONSTRAINTS + k, LEVEL]]
        following = m[CONSTRAINTS + k, FOLLOWING]
        allowed = tick + m[CONSTRAINTS + k, TICKS]
        if m[CONSTRAINTS + k, SIBLING]:
            first = m[NODES + node, SIBLING_FIRST]
            for other in range(first, first + m[NODES + node, SIBLING_COUNT]):
                if other != node and m[NODES + other, READY + following] < allowed:
                    m[NODES + other, READY + following] = allowed
            continue
        if m[CONSTRAINTS + k, WINDOW] > 1:
            nth = _remember(m, k, node, tick)
            if nth < 0:
                continue
            allowed = nth + m[CONSTRAINTS + k, TICKS]
        if m[NODES + node, READY + following] < allowed:
            m[NODES + node, READY + following] = allowed


def _remember(m: Ints, k: int, node: int, tick: int) -> int:
    """Notes this issue for the window of constraint `k`: the tick of the n-th last, or -1."""
    history = RECENT + m[CONSTRAINTS + k, HISTORY] * WIDEST
    back = m[CONSTRAINTS + k, WINDOW] - 1
    for position in range(back, 0, -1):
        m[NODES + node, history + position] = m[NODES + node, history + position - 1]
    m[NODES + node, history + 0] = tick
    return m[NODES + node, history + back]


def record(m: Ints, tick: int, command: int, bank: int, row: int, request: int) -> None:
    """Counts the command and writes it to the log while there is room."""
    if command == ACT:
        m[COUNTERS, ACTS] += 1
    at = m[COUNTERS, LOGGED]
    if at < m[COUNTERS, LOG_ROWS]:
        m[REQUESTS + m[COUNTERS, STREAM] + at, 0] = tick
        m[REQUESTS + m[COUNTERS, STREAM] + at, 1] = command
        m[REQUESTS + m[COUNTERS, STREAM] + at, 2] = bank
        m[REQUESTS + m[COUNTERS, STREAM] + at, 3] = row
        m[REQUESTS + m[COUNTERS, STREAM] + at, 4] = request
        m[COUNTERS, LOGGED] = at + 1


def close_row(m: Ints, bank: int) -> None:
    """No row is open, no access counts towards a cap."""
    m[BANKS + bank, OPEN_ROW] = CLOSED
    m[BANKS + bank, ACCESSES] = 0

"""Where the time of the data bus goes: every gap between two bursts is given to what the later one waited
for.

The log of commands is replayed on the constraints. Of a gap before a burst, in this order:

    refresh       the part during which the bank was being refreshed
    turnaround    up to the tick at which the pseudo-channel's bus has turned to the other direction
    empty         up to the tick at which the request was accepted
    the row       if the burst came as soon as its row was open: to what the activation had waited for,
                  another row of the bank (`row_conflict`), the activation rate (`act_rate`: tRRD, tFAW), a
                  refresh or the request itself (`empty`)
    bank_group    up to the tick the bank group or stack ID allows it, if that is later than its row
    command_bus   what is left: slots on the command bus and the scheduler's choice
"""

from typing import Final, NamedTuple

from sim.dram.commands import ACT, PREAB, RD, REFAB, WRA
from sim.dram.state import (
    ACCEPTED,
    BANKS,
    COUNTERS,
    LOGGED,
    NODES,
    PATH,
    PATH_LENGTH,
    READY,
    REQUESTS,
    SHARED_LEVELS,
    STREAM,
    Ints,
)
from sim.dram.timing import earliest_shared, issue

BUSY: Final = 0
REFRESH: Final = 1
TURNAROUND: Final = 2
BANK_GROUP_LIMIT: Final = 3
ACT_RATE: Final = 4
ROW_CONFLICT: Final = 5
EMPTY: Final = 6
COMMAND_BUS: Final = 7
CAUSES: Final = (
    "busy",
    "refresh",
    "turnaround",
    "bank_group",
    "act_rate",
    "row_conflict",
    "empty",
    "command_bus",
)

# columns of the replay's own table, a row per bank
LAST_BURST: Final = 0  # of the pseudo-channel, kept at its first bank
ROW_CAUSE: Final = 1
REFRESH_BEGIN: Final = 2
REFRESH_END: Final = 3
REPLAY_COLUMNS: Final = 4


class Replay(NamedTuple):
    """What the replay is told: ticks of a burst, tolerance of "as soon as", banks of a pseudo-channel, and
    the stretch of time that is shared out."""

    burst: int
    slack: int
    scope_banks: int
    begin: int
    end: int


def share_out(p: Replay, m: Ints, banks: Ints, ticks: Ints) -> int:
    """Adds to ticks[0, cause] over the log of `m`, whose nodes must be as before the first command."""
    first = REQUESTS + m[COUNTERS, STREAM]
    for at in range(first, first + m[COUNTERS, LOGGED]):
        tick, command, bank, request = m[at, 0], m[at, 1], m[at, 2], m[at, 4]
        if command == ACT:
            banks[bank, ROW_CAUSE] = _row_cause(p, m, banks, bank, request, tick)
        elif RD <= command <= WRA:
            _burst(p, m, banks, ticks, bank, command, request, tick)
        issue(m, bank, command, tick)
        if request < 0:
            _refresh(p, m, banks, bank, command, tick)
    return m[COUNTERS, LOGGED]


def _refresh(p: Replay, m: Ints, banks: Ints, bank: int, command: int, tick: int) -> None:
    """A refresh keeps its banks from the first command on its behalf until rows may open again."""
    whole_scope = command in (PREAB, REFAB)
    for other in range(bank, bank + (p.scope_banks if whole_scope else 1)):
        if tick > banks[other, REFRESH_END] + p.slack:
            banks[other, REFRESH_BEGIN] = tick
        end = earliest_shared(m, other, ACT) if whole_scope else _bank_ready(m, other, ACT)
        banks[other, REFRESH_END] = max(end, tick + 1)


def _level_ready(m: Ints, bank: int, level: int, command: int) -> int:
    return m[NODES + m[BANKS + bank, PATH + level], READY + command]


def _bank_ready(m: Ints, bank: int, command: int) -> int:
    return _level_ready(m, bank, m[COUNTERS, PATH_LENGTH] - 1, command)


def _group_ready(m: Ints, bank: int, command: int) -> int:
    tick = 0
    for level in range(m[COUNTERS, SHARED_LEVELS], m[COUNTERS, PATH_LENGTH] - 1):
        tick = max(tick, _level_ready(m, bank, level, command))
    return tick


def _row_cause(p: Replay, m: Ints, banks: Ints, bank: int, request: int, tick: int) -> int:
    """What the activation waited for."""
    own = _bank_ready(m, bank, ACT)
    rate = max(earliest_shared(m, bank, ACT), _group_ready(m, bank, ACT))
    if max(own, rate) + p.slack >= tick:
        if banks[bank, REFRESH_END] >= max(own, rate):
            return REFRESH
        return ROW_CONFLICT if own >= rate else ACT_RATE
    if request >= 0 and m[REQUESTS + request, ACCEPTED] + p.slack >= tick:
        return EMPTY
    return COMMAND_BUS


def _burst(
    p: Replay, m: Ints, banks: Ints, ticks: Ints, bank: int, command: int, request: int, tick: int
) -> None:
    scope = bank - bank % p.scope_banks
    start = max(banks[scope, LAST_BURST], p.begin)
    banks[scope, LAST_BURST] = tick + p.burst
    if tick < p.begin or tick >= p.end:
        return
    ticks[0, BUSY] += min(p.burst, p.end - tick)
    left = tick - start
    if left <= 0:
        return
    part = min(tick, banks[bank, REFRESH_END]) - max(start, banks[bank, REFRESH_BEGIN])
    left = _give(ticks, REFRESH, part, left)
    turned = _level_ready(m, bank, m[COUNTERS, SHARED_LEVELS] - 1, command)
    left = _give(ticks, TURNAROUND, turned - start, left)
    begin = max(start, turned, m[REQUESTS + request, ACCEPTED] + 1)
    left = _give(ticks, EMPTY, begin - max(start, turned), left)
    row, group = _bank_ready(m, bank, command), _group_ready(m, bank, command)
    if row < group:
        left = _give(ticks, BANK_GROUP_LIMIT, group - begin, left)
    by_row = row >= group and row + p.slack >= tick
    ticks[0, banks[bank, ROW_CAUSE] if by_row else COMMAND_BUS] += left


def _give(ticks: Ints, cause: int, part: int, left: int) -> int:
    """Gives a part of what is left to a cause: what is left then."""
    given = min(max(part, 0), left)
    ticks[0, cause] += given
    return left - given

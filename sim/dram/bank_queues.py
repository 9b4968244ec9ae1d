"""A controller with a command queue per bank, filled from a read and a write transaction queue.

Each tick one transaction moves from the transaction queue being served to the queue of its bank: the oldest
whose bank has room. Banks are served round robin; of a bank's queue the first command that may issue is
taken, a PRE only for the queue's first entry, and only if no row hit is queued or `cap` accesses have been
served. A tick issues one command, and a second if the next one found is of the other kind (row or column).
Writes are acknowledged at once and drained in batches of all that were buffered; a read of a line that is
already waited for is merged with the first.
"""

from typing import Final, NamedTuple

from sim.dram.commands import ACT, CLOSED, FAR, PRE, RD, RDA, REFAB, REFPB, WR, WRA
from sim.dram.state import (
    ACCEPTED,
    ACCESSES,
    AFTER,
    BANK_OF,
    BANKS,
    BEFORE,
    CHANNELS,
    COMMANDS_QUEUED,
    DEPARTED,
    HEAD,
    HELD,
    HIT,
    IN_REFRESH,
    LENGTH,
    LINE,
    LINES,
    MERGED,
    MOVES,
    NEXT_BANK,
    NEXT_GROUP,
    NEXT_REFRESH,
    OPEN_ROW,
    ORDER,
    QUEUED,
    READS,
    REFRESH_BANKS,
    REFRESH_COMMANDS,
    REFRESH_LIMIT,
    REFRESHES,
    REFRESHES_FIRST,
    REQUESTS,
    ROW_OF,
    SERVED_BANK,
    SLOTS,
    STUCK,
    TAIL,
    TRANSACTION_HEAD,
    TRANSACTION_TAIL,
    WRITE,
    WRITES,
    WRITING,
    Ints,
)
from sim.dram.timing import close_row, earliest, earliest_own, earliest_shared, issue, record

ALL_BANK: Final = 1
PER_BANK: Final = 2


class BankPolicy(NamedTuple):
    """What a per-bank-queue controller is told; ticks are the device's.

    Attributes:
        depth: entries of the read and of the write transaction queue.
        bank_depth: entries of the command queue of each bank.
        drain_idle_above: writes above which an idle controller starts to drain; a full queue always does.
        cap: accesses to an open row after which another row's request may close it although hits wait.
        auto_precharge: each access closes its row (RDA, WRA).
        refresh: 0 off, ALL_BANK, PER_BANK (bank groups first).
        interval: ticks from refresh to refresh.
        read_latency: ticks from RD to the end of its data.
        channel_banks, groups, group_banks: sizes of a channel.
    """

    depth: int
    bank_depth: int
    drain_idle_above: int
    cap: int
    auto_precharge: bool
    refresh: int
    interval: int
    read_latency: int
    channel_banks: int
    groups: int
    group_banks: int


def accept(p: BankPolicy, m: Ints, i: int, tick: int) -> bool:
    """Takes request `i` at `tick` unless its queue is full.

    A write, and a read of a pending write, departs a tick later: DEPARTED is then set. A read of a line that
    another read waits for departs with that one.
    """
    bank, kind, line = m[REQUESTS + i, BANK_OF], m[REQUESTS + i, WRITE], m[REQUESTS + i, LINE]
    channel = bank // p.channel_banks
    if m[CHANNELS + channel, QUEUED + kind] >= p.depth:
        return False
    m[REQUESTS + i, ACCEPTED] = tick
    slot = line & (SLOTS - 1)
    written = m[LINES + slot, WRITES] > 0 and _pending_request(p, m, i, WRITES) >= 0
    if kind == WRITES or written:
        m[REQUESTS + i, DEPARTED] = tick + 1
    if written:
        return True
    if kind == READS and m[LINES + slot, READS] > 0:
        first = _pending_request(p, m, i, READS)
        if first >= 0:
            m[REQUESTS + i, MERGED] = m[REQUESTS + first, MERGED]
            m[REQUESTS + first, MERGED] = i
            return True
    m[LINES + slot, kind] += 1
    m[CHANNELS + channel, STUCK + kind] = 0
    m[REQUESTS + i, ORDER] = -1
    m[CHANNELS + channel, QUEUED + kind] += 1
    last = m[CHANNELS + channel, TRANSACTION_TAIL + kind]
    m[REQUESTS + i, BEFORE] = last
    m[REQUESTS + i, AFTER] = -1
    if last < 0:
        m[CHANNELS + channel, TRANSACTION_HEAD + kind] = i
    else:
        m[REQUESTS + last, AFTER] = i
    m[CHANNELS + channel, TRANSACTION_TAIL + kind] = i
    return True


def _pending_request(p: BankPolicy, m: Ints, i: int, kind: int) -> int:
    """The request of this kind that waits for the line of request `i`, or -1."""
    bank, line = m[REQUESTS + i, BANK_OF], m[REQUESTS + i, LINE]
    other = m[BANKS + bank, HEAD]
    while other >= 0:
        if m[REQUESTS + other, LINE] == line and m[REQUESTS + other, WRITE] == kind:
            return other
        other = m[REQUESTS + other, AFTER]
    other = m[CHANNELS + bank // p.channel_banks, TRANSACTION_HEAD + kind]
    while other >= 0 and m[REQUESTS + other, LINE] != line:
        other = m[REQUESTS + other, AFTER]
    return other


def _move_transaction(p: BankPolicy, m: Ints, channel: int) -> bool:
    """Moves one transaction to the queue of its bank; whether anything changed."""
    writes = m[CHANNELS + channel, QUEUED + WRITES]
    idle = m[CHANNELS + channel, COMMANDS_QUEUED] == 0
    if m[CHANNELS + channel, WRITING] == 0 and (writes >= p.depth or (idle and writes > p.drain_idle_above)):
        m[CHANNELS + channel, WRITING] = writes
    kind = WRITES if m[CHANNELS + channel, WRITING] > 0 else READS
    i = _first_with_room(p, m, channel, kind)
    if kind == WRITES and i >= 0:
        slot = m[REQUESTS + i, LINE] & (SLOTS - 1)
        read = _pending_request(p, m, i, READS) if m[LINES + slot, READS] > 0 else -1
        if read < 0:
            m[CHANNELS + channel, WRITING] -= 1
        else:  # the read must not see the write: drain again later, and let the read go on
            m[CHANNELS + channel, WRITING] = 0
            if m[REQUESTS + read, ORDER] >= 0:
                return True
            kind = READS
            i = _first_with_room(p, m, channel, kind)
    if i < 0:
        return False
    before, after = m[REQUESTS + i, BEFORE], m[REQUESTS + i, AFTER]
    if before < 0:
        m[CHANNELS + channel, TRANSACTION_HEAD + kind] = after
    else:
        m[REQUESTS + before, AFTER] = after
    if after < 0:
        m[CHANNELS + channel, TRANSACTION_TAIL + kind] = before
    else:
        m[REQUESTS + after, BEFORE] = before
    m[CHANNELS + channel, QUEUED + kind] -= 1
    _queue_command(m, channel, i)
    return True


def _first_with_room(p: BankPolicy, m: Ints, channel: int, kind: int) -> int:
    """The oldest transaction whose bank's queue has room, or -1."""
    if m[CHANNELS + channel, STUCK + kind]:
        return -1
    i = m[CHANNELS + channel, TRANSACTION_HEAD + kind]
    while i >= 0 and m[BANKS + m[REQUESTS + i, BANK_OF], LENGTH] >= p.bank_depth:
        i = m[REQUESTS + i, AFTER]
    m[CHANNELS + channel, STUCK + kind] = i < 0
    return i


def _queue_command(m: Ints, channel: int, i: int) -> None:
    bank, kind = m[REQUESTS + i, BANK_OF], m[REQUESTS + i, WRITE]
    last = m[BANKS + bank, TAIL]
    m[REQUESTS + i, BEFORE] = last
    m[REQUESTS + i, AFTER] = -1
    if last < 0:
        m[BANKS + bank, HEAD] = i
    else:
        m[REQUESTS + last, AFTER] = i
    m[BANKS + bank, TAIL] = i
    m[BANKS + bank, LENGTH] += 1
    m[REQUESTS + i, ORDER] = m[CHANNELS + channel, MOVES]
    m[CHANNELS + channel, MOVES] += 1
    m[CHANNELS + channel, COMMANDS_QUEUED] += 1
    if m[BANKS + bank, OPEN_ROW] == m[REQUESTS + i, ROW_OF] and m[BANKS + bank, HIT + kind] < 0:
        m[BANKS + bank, HIT + kind] = i


def _next_hit(m: Ints, i: int, row: int, kind: int) -> int:
    while i >= 0 and (m[REQUESTS + i, ROW_OF] != row or m[REQUESTS + i, WRITE] != kind):
        i = m[REQUESTS + i, AFTER]
    return i


def _first_ready(p: BankPolicy, m: Ints, bank: int, act: int, tick: int) -> tuple[int, int, int]:
    """(request, command) of the bank's queue to issue now, or (-1, -1), and the next tick to look.

    `act` is the first tick at which the channel allows an activation of any bank.
    """
    head = m[BANKS + bank, HEAD]
    if head < 0:
        return -1, -1, FAR
    if m[BANKS + bank, OPEN_ROW] == CLOSED:
        allowed = act if act > tick else earliest_own(m, bank, ACT)
        return (head, ACT, FAR) if allowed <= tick else (-1, -1, allowed)
    wake = FAR
    no_hit = m[BANKS + bank, HIT + READS] < 0 and m[BANKS + bank, HIT + WRITES] < 0
    if m[REQUESTS + head, ROW_OF] != m[BANKS + bank, OPEN_ROW] and (
        no_hit or m[BANKS + bank, ACCESSES] >= p.cap
    ):
        wake = earliest(m, bank, PRE)
        if wake <= tick:
            return head, PRE, FAR
    best, command = -1, -1
    for kind in range(2):
        i = m[BANKS + bank, HIT + kind]
        if i >= 0:
            burst = (RDA if p.auto_precharge else RD) + kind
            allowed = earliest(m, bank, burst)
            if allowed > tick:
                wake = min(wake, allowed)
            elif best < 0 or m[REQUESTS + i, ORDER] < m[REQUESTS + best, ORDER]:
                best, command = i, burst
    return best, command, wake


def _command_to_issue(p: BankPolicy, m: Ints, channel: int, tick: int) -> tuple[int, int, int]:
    """Round robin from the bank after the last served: (request, command, next tick to look)."""
    wake = FAR
    act = earliest_shared(m, channel * p.channel_banks, ACT)
    bank = m[CHANNELS + channel, SERVED_BANK]
    for _ in range(p.channel_banks):
        bank += 1
        if bank == p.channel_banks:
            bank = 0
        at = channel * p.channel_banks + bank
        if m[BANKS + at, HELD]:
            continue
        i, command, look = _first_ready(p, m, at, act, tick)
        if i >= 0:
            m[CHANNELS + channel, SERVED_BANK] = bank
            return i, command, wake
        wake = min(wake, look)
    return -1, -1, wake


def _issue_command(p: BankPolicy, m: Ints, i: int, command: int, tick: int) -> None:
    bank, row = m[REQUESTS + i, BANK_OF], m[REQUESTS + i, ROW_OF]
    issue(m, bank, command, tick)
    record(m, tick, command, bank, row, i)
    if command == ACT:
        m[BANKS + bank, OPEN_ROW] = row
        for kind in range(2):
            m[BANKS + bank, HIT + kind] = _next_hit(m, m[BANKS + bank, HEAD], row, kind)
        return
    if command != PRE:
        m[BANKS + bank, ACCESSES] += 1
        _serve(p, m, i, tick)
    if command != RD and command != WR:
        _closed(m, bank)


def _closed(m: Ints, bank: int) -> None:
    close_row(m, bank)
    m[BANKS + bank, HIT + READS] = -1
    m[BANKS + bank, HIT + WRITES] = -1


def _serve(p: BankPolicy, m: Ints, i: int, tick: int) -> None:
    """Takes the request out of its bank's queue; a read's data comes with that of the reads merged with
    it."""
    bank, kind = m[REQUESTS + i, BANK_OF], m[REQUESTS + i, WRITE]
    before, after = m[REQUESTS + i, BEFORE], m[REQUESTS + i, AFTER]
    if before < 0:
        m[BANKS + bank, HEAD] = after
    else:
        m[REQUESTS + before, AFTER] = after
    if after < 0:
        m[BANKS + bank, TAIL] = before
    else:
        m[REQUESTS + after, BEFORE] = before
    m[BANKS + bank, LENGTH] -= 1
    channel = bank // p.channel_banks
    m[CHANNELS + channel, COMMANDS_QUEUED] -= 1
    m[CHANNELS + channel, STUCK + READS] = 0
    m[CHANNELS + channel, STUCK + WRITES] = 0
    m[BANKS + bank, HIT + kind] = _next_hit(m, after, m[REQUESTS + i, ROW_OF], kind)
    m[LINES + (m[REQUESTS + i, LINE] & (SLOTS - 1)), kind] -= 1
    if kind == READS:
        other = i
        while other >= 0:
            m[REQUESTS + other, DEPARTED] = tick + p.read_latency
            other = m[REQUESTS + other, MERGED]


def _refresh_due(p: BankPolicy, m: Ints, channel: int, tick: int) -> None:
    if p.refresh == 0 or tick < m[CHANNELS + channel, NEXT_REFRESH]:
        return
    m[CHANNELS + channel, NEXT_REFRESH] += p.interval
    at = (m[CHANNELS + channel, REFRESHES_FIRST] + m[CHANNELS + channel, REFRESHES]) % REFRESH_LIMIT
    bank = m[CHANNELS + channel, NEXT_GROUP] * p.group_banks + m[CHANNELS + channel, NEXT_BANK]
    m[REFRESH_COMMANDS + at, channel] = REFAB if p.refresh == ALL_BANK else REFPB
    m[REFRESH_BANKS + at, channel] = channel * p.channel_banks + bank
    m[CHANNELS + channel, REFRESHES] += 1
    if p.refresh == PER_BANK:
        m[CHANNELS + channel, NEXT_GROUP] = (m[CHANNELS + channel, NEXT_GROUP] + 1) % p.groups
        if m[CHANNELS + channel, NEXT_GROUP] == 0:
            m[CHANNELS + channel, NEXT_BANK] = (m[CHANNELS + channel, NEXT_BANK] + 1) % p.group_banks


def _refresh_command(p: BankPolicy, m: Ints, channel: int, tick: int) -> tuple[int, int, int]:
    """(bank, PRE or REF) of the first waiting refresh, or (-1, -1), and the next tick to look.

    The queues of its banks are frozen from the first look on.
    """
    first = m[CHANNELS + channel, REFRESHES_FIRST]
    command, bank = (
        m[REFRESH_COMMANDS + first, channel],
        m[REFRESH_BANKS + first, channel],
    )
    count = p.channel_banks if command == REFAB else 1
    if not m[CHANNELS + channel, IN_REFRESH]:
        m[CHANNELS + channel, IN_REFRESH] = 1
        for other in range(bank, bank + count):
            m[BANKS + other, HELD] = 1
    wake, ready = FAR, 0
    for other in range(bank, bank + count):
        needed = command if m[BANKS + other, OPEN_ROW] == CLOSED else PRE
        allowed = earliest(m, other, needed)
        if allowed > tick:
            wake = min(wake, allowed)
        elif needed == PRE:
            return other, PRE, FAR
        else:
            ready += 1
    return (bank, command, FAR) if ready == count else (-1, -1, wake)


def _issue_refresh(p: BankPolicy, m: Ints, bank: int, command: int, tick: int) -> None:
    issue(m, bank, command, tick)
    record(m, tick, command, bank, CLOSED, -1)
    if command == PRE:
        _closed(m, bank)
        return
    channel = bank // p.channel_banks
    m[CHANNELS + channel, REFRESHES_FIRST] = (m[CHANNELS + channel, REFRESHES_FIRST] + 1) % REFRESH_LIMIT
    m[CHANNELS + channel, REFRESHES] -= 1
    m[CHANNELS + channel, IN_REFRESH] = 0
    for other in range(bank, bank + (p.channel_banks if command == REFAB else 1)):
        m[BANKS + other, HELD] = 0


def tick_bank(p: BankPolicy, m: Ints, channel: int, tick: int) -> tuple[int, int]:
    """One tick of the channel: (request whose burst issued or -1, next tick at which anything can happen)."""
    _refresh_due(p, m, channel, tick)
    served, first, wake = -1, -1, FAR
    if m[CHANNELS + channel, REFRESHES]:
        bank, first, wake = _refresh_command(p, m, channel, tick)
        if first >= 0:
            _issue_refresh(p, m, bank, first, tick)
    if first < 0:
        i, first, look = _command_to_issue(p, m, channel, tick)
        wake = min(wake, look)
        if i >= 0:
            _issue_command(p, m, i, first, tick)
            if _is_burst(first):
                served = i
    if first >= 0:
        i, second, _ = _command_to_issue(p, m, channel, tick)
        if i >= 0 and _is_burst(second) != _is_burst(first):
            _issue_command(p, m, i, second, tick)
            if _is_burst(second):
                served = i
    moved = _move_transaction(p, m, channel)
    if moved or first >= 0:
        return served, tick + 1
    if p.refresh:
        wake = min(wake, m[CHANNELS + channel, NEXT_REFRESH])
    return served, wake


def _is_burst(command: int) -> bool:
    return RD <= command <= WRA

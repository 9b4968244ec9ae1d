"""The list of constraints of a device from its timing: JEDEC's table in the form the event loop enforces.

Distances count from the first cycle of one command to the first cycle of the next, while timing counts from
last to last, so a command of several cycles shifts what is before and after it:

    ticks = time + (cycles of previous − 1) − (cycles of following − 1)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sim.dram.commands import (
    ACT,
    BANK,
    BANK_GROUP,
    CHANNEL,
    PRE,
    PREAB,
    PSEUDO_CHANNEL,
    RD,
    RDA,
    REFAB,
    REFPB,
    STACK_ID,
    WR,
    WRA,
)
from sim.dram.device import Constraint

_READS = (RD, RDA)
_WRITES = (WR, WRA)
_ROW_BUS = (ACT, PRE, PREAB, REFAB, REFPB)

Rule = tuple[int, Sequence[int], Sequence[int], int]


@dataclass(frozen=True, slots=True)
class Ticks:
    """Timing in ticks; names as in the profile. `burst` is BL; `act` and `column` are cycles on the bus."""

    burst: int
    act: int
    column: int
    two_slots: bool
    cl: int
    cwl: int
    rcd_rd: int
    rcd_wr: int
    rp: int
    rp_ab: int
    ras: int
    rc: int
    rrd_s: int
    rrd_l: int
    faw: int
    rtp: int
    wr: int
    wtr_s: int
    wtr_l: int
    rtw: int
    ccd_l: int
    ccd_r: int
    ppd: int
    rfc_ab: int
    rfc_pb: int
    rrefd: int


def constraints(t: Ticks) -> tuple[Constraint, ...]:
    """Every least distance between two commands, as the event loop enforces them."""
    cycles = {ACT: t.act} | dict.fromkeys((RD, WR, RDA, WRA), t.column)

    def shifted(rule: Rule, *, window: int = 1, sibling: bool = False) -> list[Constraint]:
        level, before, after, ticks = rule
        return [
            Constraint(level, p, f, _between(ticks, p, f, cycles), window, sibling)
            for p in before
            for f in after
        ]

    rules = (*_columns(t), *_rows(t), *_precharges(t), *_refreshes(t))
    found = [constraint for rule in rules for constraint in shifted(rule)]
    found += shifted((PSEUDO_CHANNEL, (ACT,), (ACT,), t.faw), window=4)
    found += shifted((STACK_ID, _READS, _READS, t.ccd_r), sibling=True)
    found += [Constraint(CHANNEL, p, f, cycles[p]) for p, f in _bus(t) if cycles[p] > 1]
    return tuple(found)


def _between(ticks: int, previous: int, following: int, cycles: Mapping[int, int]) -> int:
    return ticks + (cycles.get(previous, 1) - 1) - (cycles.get(following, 1) - 1)


def _bus(t: Ticks) -> list[tuple[int, int]]:
    """Pairs of commands of which the first occupies the bus of the second."""
    columns = (*_READS, *_WRITES)
    if t.two_slots:
        return [(ACT, f) for f in _ROW_BUS] + [(p, f) for p in columns for f in columns]
    return [(p, f) for p in (ACT, *columns) for f in (*_ROW_BUS, *columns)]


def _columns(t: Ticks) -> tuple[Rule, ...]:
    """Bursts on the data bus, within a bank group, and when it turns around."""
    written = t.cwl + t.burst
    return (
        (PSEUDO_CHANNEL, _READS, _READS, t.burst),
        (PSEUDO_CHANNEL, _WRITES, _WRITES, t.burst),
        (PSEUDO_CHANNEL, _READS, _WRITES, t.rtw),
        (PSEUDO_CHANNEL, _WRITES, _READS, written + t.wtr_s),
        (BANK_GROUP, _READS, _READS, t.ccd_l),
        (BANK_GROUP, _WRITES, _WRITES, t.ccd_l),
        (BANK_GROUP, _WRITES, _READS, written + t.wtr_l),
        (BANK, (ACT,), _READS, t.rcd_rd),
        (BANK, (ACT,), _WRITES, t.rcd_wr),
    )


def _rows(t: Ticks) -> tuple[Rule, ...]:
    """Activations: their rate, and how soon after the row before."""
    written = t.cwl + t.burst + t.wr
    return (
        (PSEUDO_CHANNEL, (ACT,), (ACT,), t.rrd_s),
        (BANK_GROUP, (ACT,), (ACT,), t.rrd_l),
        (BANK, (ACT,), (ACT,), t.rc),
        (BANK, (PRE,), (ACT,), t.rp),
        (PSEUDO_CHANNEL, (PREAB,), (ACT,), t.rp_ab),
        (BANK, (RDA,), (ACT,), t.rtp + t.rp),
        (BANK, (WRA,), (ACT,), written + t.rp),
    )


def _precharges(t: Ticks) -> tuple[Rule, ...]:
    """Closing a row: after it was opened, read or written."""
    written = t.cwl + t.burst + t.wr
    return (
        (BANK, (ACT,), (PRE,), t.ras),
        (BANK, (RD,), (PRE,), t.rtp),
        (BANK, (WR,), (PRE,), written),
        (PSEUDO_CHANNEL, (ACT,), (PREAB,), t.ras),
        (PSEUDO_CHANNEL, (RD,), (PREAB,), t.rtp),
        (PSEUDO_CHANNEL, (WR,), (PREAB,), written),
        (PSEUDO_CHANNEL, (PRE, PREAB), (PRE, PREAB), t.ppd),
    )


def _refreshes(t: Ticks) -> tuple[Rule, ...]:
    """Refreshes come to closed banks and keep them from opening."""
    written = t.cwl + t.burst + t.wr
    return (
        (PSEUDO_CHANNEL, (ACT,), (REFAB,), t.rc),
        (PSEUDO_CHANNEL, (PRE, PREAB), (REFAB,), t.rp),
        (PSEUDO_CHANNEL, (RDA,), (REFAB,), t.rtp + t.rp),
        (PSEUDO_CHANNEL, (WRA,), (REFAB,), written + t.rp),
        (PSEUDO_CHANNEL, (REFAB,), (ACT, PREAB, REFAB, REFPB), t.rfc_ab),
        (PSEUDO_CHANNEL, (REFPB,), (ACT, REFPB), t.rrefd),
        (PSEUDO_CHANNEL, (ACT,), (REFPB,), t.rrd_s),
        (BANK, (ACT,), (REFPB,), t.rc),
        (BANK, (PRE,), (REFPB,), t.rp),
        (BANK, (RDA,), (REFPB,), t.rtp + t.rp),
        (BANK, (WRA,), (REFPB,), written + t.rp),
        (BANK, (REFPB,), (ACT, REFPB), t.rfc_pb),
    )

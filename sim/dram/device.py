"""A DRAM channel as the event loop sees it: its tree of banks and the least distances between commands."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sim.dram.commands import BANK, COMMANDS, LEVELS
from sim.dram.state import Ints


@dataclass(frozen=True, slots=True)
class Organisation:
    """Sizes of one channel; columns are counted in transactions, the bursts that one RD or WR moves."""

    pseudo_channels: int
    stack_ids: int
    bank_groups: int
    group_banks: int
    rows: int
    columns: int
    transaction_bytes: int

    @property
    def scope_banks(self) -> int:
        """Banks of one pseudo-channel."""
        return self.stack_ids * self.bank_groups * self.group_banks

    @property
    def banks(self) -> int:
        """Banks of the channel."""
        return self.pseudo_channels * self.scope_banks

    @property
    def level_sizes(self) -> tuple[int, ...]:
        """Children of a node of each level's parent: one channel, its pseudo-channels, …"""
        return (1, self.pseudo_channels, self.stack_ids, self.bank_groups, self.group_banks)


@dataclass(frozen=True, slots=True)
class Constraint:
    """`following` may come no earlier than `ticks` after the `window`-th last `previous` at the same node of
    `level`; a sibling constraint holds at the other nodes under the same parent instead."""

    level: int
    previous: int
    following: int
    ticks: int
    window: int = 1
    sibling: bool = False


@dataclass(frozen=True, slots=True)
class SplitActivation:
    """Of LPDDR5, in ticks: ACT1 to the latest ACT2; how long a data clock started runs on after RD and WR."""

    second_within: int
    read_clock: int
    write_clock: int


@dataclass(frozen=True, slots=True)
class Device:
    """One channel of DRAM; a tick is `tick_ns` long and `half_clock` says whether that is half a CK.

    Attributes:
        burst: ticks a transaction occupies the data bus.
        read_latency: ticks from RD to the end of its data.
        refresh_interval, bank_refresh_interval: ticks between refreshes (REFab; REFpb of successive banks).
        two_slots: row and column commands have buses of their own.
        split: of a device whose rows open in two commands (LPDDR5), else None.
    """

    name: str
    organisation: Organisation
    constraints: tuple[Constraint, ...]
    tick_ns: float
    half_clock: bool
    two_slots: bool
    burst: int
    read_latency: int
    refresh_interval: int
    bank_refresh_interval: int
    split: SplitActivation | None = None

    @property
    def lines_per_tick(self) -> float:
        """Transactions the channel moves in a tick at its peak."""
        return self.organisation.pseudo_channels / self.burst

    @property
    def peak(self) -> float:
        """Peak bandwidth of the channel, B/s."""
        return self.lines_per_tick * self.organisation.transaction_bytes / (self.tick_ns * 1e-9)


def tree(organisation: Organisation, channels: int) -> tuple[Ints, Ints, tuple[int, ...]]:
    """(path, siblings, position of each level in a path) of the banks of `channels` equal channels.

    Levels that hold the same banks, such as a channel with one pseudo-channel, are one node.
    """
    sizes = organisation.level_sizes
    counts = [channels * math.prod(sizes[: level + 1]) for level in range(LEVELS)]
    kept = [level for level in range(LEVELS) if level == BANK or sizes[level + 1] > 1]
    position = tuple(next(n for n, level in enumerate(kept) if level >= own) for own in range(LEVELS))
    banks = np.arange(counts[BANK], dtype=np.int64)
    path = np.empty((counts[BANK], len(kept)), dtype=np.int64)
    siblings: list[tuple[int, int]] = []
    for n, level in enumerate(kept):
        first = len(siblings)
        path[:, n] = first + banks // (counts[BANK] // counts[level])
        parents = counts[kept[n - 1]] if n else channels
        run = counts[level] // parents
        siblings += [(first + node // run * run, run) for node in range(counts[level])]
    return path, np.array(siblings, dtype=np.int64), position


def constraint_table(device: Device, position: Sequence[int]) -> tuple[Ints, Ints]:
    """(start, constraints) as the event loop reads them; see sim.dram.state.Machine.

    A sibling constraint without siblings (one stack ID) says nothing and is left out.
    """
    sizes = device.organisation.level_sizes
    meant = [c for c in device.constraints if not c.sibling or sizes[c.level] > 1]
    ordered = sorted(meant, key=lambda c: c.previous)
    histories = itertools.count()
    rows = [
        (
            position[c.level],
            c.following,
            c.ticks,
            c.window,
            c.sibling,
            next(histories) if c.window > 1 else -1,
        )
        for c in ordered
    ]
    start = np.searchsorted([c.previous for c in ordered], np.arange(COMMANDS + 1))
    return start.astype(np.int64), np.array(rows, dtype=np.int64).reshape(-1, 6)

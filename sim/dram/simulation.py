"""Serves a stream of requests on a memory system, event by event."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import cast

import numpy as np

from sim.dram import (
    bank_controller,
    bank_queues,
    completion,
    event_loop,
    one_slot,
    shared_controller,
    shared_issue,
    shared_queue,
    shared_refresh,
    shared_tick,
    split_slot,
    state,
    timing,
    two_slots,
)
from sim.dram.bank_queues import BankPolicy
from sim.dram.commands import PSEUDO_CHANNEL
from sim.dram.compiled import linked, numba_installed
from sim.dram.device import SplitActivation, constraint_table, tree
from sim.dram.event_loop import FrontEnd
from sim.dram.shared_queue import SharedPolicy
from sim.dram.state import (
    ACCEPTED,
    ACTIVATING,
    ACTS_BY_THEN,
    AFTER,
    ARRIVAL,
    BANK_OF,
    BANKS,
    BEFORE,
    CHANNEL_COUNT,
    CHANNELS,
    CONSTRAINTS,
    COUNTERS,
    DEPARTED,
    DONE,
    FIRST_CONSTRAINT,
    HEAD,
    HIT,
    LINE,
    LOG_ROWS,
    LOGGED,
    MERGED,
    MISS,
    NEXT_REFRESH,
    NEXT_SCOPE,
    NODES,
    OPEN_ROW,
    PAIR_TICK,
    PATH,
    PATH_LENGTH,
    RECENT,
    REQUESTS,
    ROW_OF,
    SHARED_LEVELS,
    SIBLING_COUNT,
    SIBLING_FIRST,
    STREAM,
    SYNCHRONISED,
    TAIL,
    TRANSACTION_HEAD,
    TRANSACTION_TAIL,
    WAKE,
    WRITE,
    Ints,
)
from sim.dram.system import BankQueueController, MemorySystem, SharedQueueController

_OFFERS = 8

_BUSES = {"two": (two_slots,), "one": (one_slot,), "split": (one_slot, split_slot)}
_QUEUES = (timing, completion, shared_queue, shared_refresh, shared_issue)
_PER_BANK = (timing, completion, bank_queues, bank_controller, event_loop)

Policy = SharedPolicy | BankPolicy
Run = Callable[[FrontEnd, Policy, Ints], int]


@dataclass(frozen=True, slots=True)
class Served:
    """What happened to each request, in ticks of the device, and the commands that did it.

    Attributes:
        done: tick at which the request was complete; 0 if the run ended before.
        acts: ACT commands issued by the time its own burst was.
        log: (tick, command, bank, row, request) of the first commands, as many as were asked for.
        table: the loop's state at the end.
    """

    system: MemorySystem
    write: Ints
    arrival: Ints
    accepted: Ints
    departed: Ints
    done: Ints
    acts: Ints
    bank: Ints
    row: Ints
    log: Ints
    table: Ints


@cache
def _loop(kind: str, pure: bool) -> Run:
    """The event loop with a controller of queues per bank, or of shared queues on one kind of command bus."""
    modules = _PER_BANK
    if kind in _BUSES:
        modules = (*_QUEUES, *_BUSES[kind], shared_tick, shared_controller, event_loop)
    return cast("Run", linked("run", modules, compiled=numba_installed() and not pure))


def _kind(system: MemorySystem) -> str:
    if isinstance(system.controller, BankQueueController):
        return "per-bank"
    if system.device.split is not None:
        return "split"
    return "two" if system.device.two_slots else "one"


def serve(
    system: MemorySystem,
    line: Ints,
    write: Ints,
    *,
    wanted: int,
    window: int = 0,
    arrival: Ints | None = None,
    logged: int = 0,
    pure: bool = False,
) -> Served:
    """Offers the requests in order and runs until `wanted` of them are complete.

    Args:
        line: line numbers, int64 (n,); write: 1 where the request writes. window: most requests in flight, 0
        for no bound but the queues. arrival: tick before which a request is not offered, ascending; None
        offers the next as soon as it fits. logged: commands to keep in the log. pure: the uncompiled loop,
        as it also runs where numba is not installed.
    """
    organisation = system.device.organisation
    where = system.mapping.coordinates(line)
    bank = where["ch"] * organisation.pseudo_channels + where["pc"]
    bank = (bank * organisation.stack_ids + where["sid"]) * organisation.bank_groups + where["bg"]
    bank = bank * organisation.group_banks + where["ba"]
    shared_queues = isinstance(system.controller, SharedQueueController)
    start = int(shared_queues)  # a per-bank-queue controller counts its ticks from 0
    columns = {BANK_OF: bank, ROW_OF: where["ro"], LINE: line, WRITE: write}
    if arrival is not None:
        columns[ARRIVAL] = arrival
    m = _table(system, columns, line.size, logged, start)
    front = FrontEnd(
        channel_banks=organisation.banks,
        window=window,
        offers=_OFFERS,
        fifo=system.fifo if system.channels > 1 else 0,
        wanted=min(wanted, line.size),
        start=start,
    )
    _loop(_kind(system), pure)(front, _policy(system), m)
    served = m[REQUESTS : REQUESTS + line.size]
    shown = (WRITE, ARRIVAL, ACCEPTED, DEPARTED, DONE, ACTS_BY_THEN, BANK_OF, ROW_OF)
    log = m[REQUESTS + line.size : REQUESTS + line.size + m[COUNTERS, LOGGED], :5]
    return Served(system, *(served[:, column].copy() for column in shown), log=log.copy(), table=m)


def _table(system: MemorySystem, requests: Mapping[int, Ints], stream: int, logged: int, start: int) -> Ints:
    """The state before the first tick; `requests` gives the columns of the stream."""
    device, channels = system.device, system.channels
    path, siblings, position = tree(device.organisation, channels)
    first, constraints = constraint_table(device, position)
    m = np.zeros((REQUESTS + stream + logged, state.COLUMNS), dtype=np.int64)
    nodes = m[NODES : NODES + len(siblings)]
    nodes[:, [SIBLING_FIRST, SIBLING_COUNT]] = siblings
    nodes[:, RECENT:] = -1
    m[CONSTRAINTS : CONSTRAINTS + len(constraints), : constraints.shape[1]] = constraints
    banks = m[BANKS : BANKS + len(path)]
    for column in (OPEN_ROW, HEAD, HEAD + 1, TAIL, TAIL + 1, HIT, HIT + 1, MISS, MISS + 1):
        banks[:, column] = -1
    banks[:, PATH : PATH + path.shape[1]] = path
    scalars = m[CHANNELS : CHANNELS + channels]
    for column in (NEXT_SCOPE, PAIR_TICK, ACTIVATING, SYNCHRONISED):
        scalars[:, column] = -1
    for column in (TRANSACTION_HEAD, TRANSACTION_TAIL):
        scalars[:, [column, column + 1]] = -1
    scalars[:, NEXT_REFRESH] = _refresh_interval(system)
    scalars[:, WAKE] = start
    m[COUNTERS, PATH_LENGTH] = path.shape[1]
    m[COUNTERS, SHARED_LEVELS] = position[PSEUDO_CHANNEL] + 1
    m[COUNTERS, CHANNEL_COUNT] = channels
    m[COUNTERS, STREAM] = stream
    m[COUNTERS, LOG_ROWS] = logged
    m[COUNTERS, FIRST_CONSTRAINT : FIRST_CONSTRAINT + first.size] = first
    served = m[REQUESTS : REQUESTS + stream]
    served[:, [AFTER, BEFORE, MERGED]] = -1
    for column, values in requests.items():
        served[:, column] = values
    return m


def _refresh_interval(system: MemorySystem) -> int:
    if system.controller.refresh == "per-bank":
        return system.device.bank_refresh_interval
    return system.device.refresh_interval


def _policy(system: MemorySystem) -> Policy:
    """The controller in the loop's terms."""
    if isinstance(system.controller, SharedQueueController):
        return _shared_policy(system, system.controller)
    return _bank_policy(system, system.controller)


def _shared_policy(system: MemorySystem, controller: SharedQueueController) -> SharedPolicy:
    device, organisation = system.device, system.device.organisation
    split = device.split or SplitActivation(0, 0, 0)
    per_bank = shared_queue.SAME_BANK if device.half_clock else shared_queue.ROUND_ROBIN
    return SharedPolicy(
        depth=controller.depth,
        drain_above=controller.drain_above * controller.depth,
        drain_below=controller.drain_below * controller.depth,
        half_clock=device.half_clock,
        protect_hits=controller.protect_hits,
        cap=controller.cap or 0,
        refresh={"off": 0, "all-bank": shared_queue.ALL_BANK, "per-bank": per_bank}[controller.refresh],
        interval=_refresh_interval(system),
        holds_channel=controller.refresh_holds == "channel",
        read_latency=device.read_latency,
        channel_banks=organisation.banks,
        scope_banks=organisation.scope_banks,
        split=device.split is not None,
        second_within=split.second_within,
        read_clock=split.read_clock,
        write_clock=split.write_clock,
    )


def _bank_policy(system: MemorySystem, controller: BankQueueController) -> BankPolicy:
    device, organisation = system.device, system.device.organisation
    refresh = {"off": 0, "all-bank": bank_queues.ALL_BANK, "per-bank": bank_queues.PER_BANK}
    return BankPolicy(
        depth=controller.depth,
        bank_depth=controller.bank_depth,
        drain_idle_above=controller.drain_idle_above,
        cap=controller.cap,
        auto_precharge=controller.auto_precharge,
        refresh=refresh[controller.refresh],
        interval=_refresh_interval(system),
        read_latency=device.read_latency,
        channel_banks=organisation.banks,
        groups=organisation.bank_groups,
        group_banks=organisation.group_banks,
    )

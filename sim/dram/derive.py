"""Derives a table of achieved fractions: every entry is served by the DRAM model.

A fraction is counted over whole refresh intervals after a warm-up, so that it does not depend on how many
refreshes happen to fall into a short run.
"""

from collections.abc import Sequence
from typing import cast

import numpy as np

from sim.dram.bandwidth import lost_time
from sim.dram.channels import ChipMemory, chip_memory
from sim.dram.devices import MemoryDevice
from sim.dram.fraction_table import ENTRIES, RATES, WINDOWS, FractionTable
from sim.dram.patterns import AccessPattern, activations, kv_append, sparse_rows, weight_stream
from sim.dram.simulation import Served, serve
from sim.dram.stream import generate
from sim.dram.system import Refresh
from sim.operators.access import KINDS, Kind

_COMMANDS_PER_REQUEST = 6
_WARM_UP = 8
"""A share of 1/8 of a run fills the queues and opens the rows."""


def derive_table(
    device: MemoryDevice, row_piece: float, refresh: str, *, requests: int, causes: bool
) -> FractionTable:
    """The table of a device under a mapping and a refresh mode.

    Args:
        requests: served for each entry. causes: whether to derive what is lost, too.
    """
    found = [
        entry(device, row_piece, refresh, at, requests=requests, causes=causes)
        for at in range(len(RATES) * len(WINDOWS) * len(ENTRIES))
    ]
    fractions = without_reversals([fraction for fraction, _ in found])
    return FractionTable(fractions, tuple(cause for _, cause in found) if causes else ())


def without_reversals(fractions: Sequence[float]) -> tuple[float, ...]:
    """The flat table without what is mostly the noise of short runs: faster pins, a deeper window or longer
    pieces never give less bandwidth."""
    shape = len(RATES), len(WINDOWS), len(ENTRIES)
    speeds = np.array(fractions).reshape(shape) * np.array(RATES)[:, None, None]
    speeds = np.maximum.accumulate(speeds, axis=0)
    speeds = np.maximum.accumulate(speeds[:, ::-1], axis=1)[:, ::-1]
    for kind in KINDS:
        places = [n for n, (k, _) in enumerate(ENTRIES) if k == kind]
        speeds[:, :, places] = np.maximum.accumulate(speeds[:, :, places], axis=2)
    flat = speeds / np.array(RATES)[:, None, None]
    return tuple(flat.ravel().tolist())


def entry(
    device: MemoryDevice, row_piece: float, refresh: str, at: int, *, requests: int, causes: bool
) -> tuple[float, str]:
    """(fraction, largest cause of loss) of one entry, by its place in the flat table."""
    nodes, (kind, lines) = divmod(at, len(ENTRIES))[0], ENTRIES[at % len(ENTRIES)]
    rate, window = RATES[nodes // len(WINDOWS)], WINDOWS[nodes % len(WINDOWS)]
    memory = chip_memory(
        device,
        stacks=1,
        bandwidth=rate * device.bandwidth,
        outstanding=float("inf"),
        refresh=cast("Refresh", refresh),
        interleave=_NEVER,
        row_piece=row_piece,
        queue=window,
    )
    served = _serve(memory, _pattern(kind, lines * device.profile.organisation.transaction), requests)
    begin, end, fraction = _whole_intervals(served, requests // _WARM_UP)
    if not causes:
        return fraction, ""
    lost = lost_time(served, begin, end, fraction)
    return fraction, max(lost, key=lambda cause: lost[cause])


_NEVER = 2.0**40
"""An interleave larger than any piece: the entries are pieces as one channel sees them."""


def _pattern(kind: Kind, size: float) -> AccessPattern:
    match kind:
        case "stream":
            return weight_stream()
        case "mixed":
            return activations(row_bytes=size)
        case "gather":
            return sparse_rows(size)
        case "append":
            return kv_append(size)


def _serve(memory: ChipMemory, pattern: AccessPattern, requests: int) -> Served:
    system = memory.system
    line, write = generate(pattern.in_channel(memory), requests + 4 * system.controller.depth + 256)
    return serve(system, line, write, wanted=requests, logged=_COMMANDS_PER_REQUEST * requests)


def _whole_intervals(served: Served, warm_up: int) -> tuple[int, int, float]:
    """(begin, end, fraction of the peak) of the longest stretch of whole refresh intervals after warm-up."""
    device = served.system.device
    done = np.sort(served.done[served.done > 0])
    begin, last = int(done[warm_up]), int(done[-1])
    interval = device.refresh_interval
    end = begin + max(1, (last - begin) // interval) * interval
    end = min(end, last)
    count = int(np.searchsorted(done, end, "right") - np.searchsorted(done, begin, "right"))
    return begin, end, min(1.0, count / ((end - begin) * device.lines_per_tick))

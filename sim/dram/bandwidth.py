"""What a memory achieves on an access pattern: bandwidth, latency, row hits, and where the lost time goes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from sim.dram import losses, timing
from sim.dram.channels import ChipMemory
from sim.dram.compiled import linked, numba_installed
from sim.dram.losses import BUSY, CAUSES, REPLAY_COLUMNS, Replay
from sim.dram.measuring import measure
from sim.dram.patterns import AccessPattern
from sim.dram.simulation import Served, serve
from sim.dram.state import CONSTRAINTS, NODES, READY, RECENT, Ints
from sim.dram.stream import arrival_ticks, generate

REQUESTS_MEASURED = 60_000
"""Long enough that a refresh more or less in the window moves the fraction by less than half a percent."""

_COMMANDS_PER_REQUEST = 6


@dataclass(frozen=True, slots=True)
class Achieved:
    """Of one pattern on one memory.

    Attributes:
        fraction: of the peak; bandwidth: of the whole chip, B/s.
        mean_latency, p50_latency, p99_latency: of reads, seconds, from acceptance by the controller, or from
            arrival in front of it where a load was offered.
        row_hit_rate: requests per request that found their row open.
        lost: share of the peak lost to each cause; with `fraction` they add up to 1.
    """

    pattern: str
    fraction: float
    bandwidth: float
    mean_latency: float
    p50_latency: float
    p99_latency: float
    row_hit_rate: float
    lost: Mapping[str, float]


def achieved(
    memory: ChipMemory,
    pattern: AccessPattern,
    *,
    load: float | None = None,
    requests: int = REQUESTS_MEASURED,
    seed: int = 1,
    pure: bool = False,
) -> Achieved:
    """Serves the pattern on one channel of the memory.

    Args:
        load: share of the peak that is offered (requests arrive at random); None offers as much as is taken.
        requests: completions measured, after a twelfth of them as warm-up.
    """
    system = memory.system
    warm_up = requests // 12
    wanted = warm_up + requests + 64
    spec = pattern.in_channel(memory, seed)
    line, write = generate(spec, wanted + 4 * system.controller.depth + 256)
    arrival = None
    if load is not None:
        arrival = arrival_ticks(seed + 1, load * system.device.lines_per_tick, line.size) + 1
    served = serve(
        system,
        line,
        write,
        wanted=wanted,
        arrival=arrival,
        logged=_COMMANDS_PER_REQUEST * wanted,
        pure=pure,
    )
    result = measure(served, warm_up, requests)
    fraction = min(result.fraction, 1.0)
    latency = result.latency if load is None else result.queued_latency

    def quantile(q: float) -> float:
        return float(latency[int(q * latency.size)]) if latency.size else 0.0

    return Achieved(
        pattern=pattern.name,
        fraction=fraction,
        bandwidth=fraction * memory.bandwidth,
        mean_latency=float(latency.mean()) if latency.size else 0.0,
        p50_latency=quantile(0.5),
        p99_latency=quantile(0.99),
        row_hit_rate=max(0.0, 1.0 - result.acts_per_request),
        lost=lost_time(served, result.begin, result.end, fraction, pure=pure),
    )


def fractions(
    memory: ChipMemory, patterns: Sequence[AccessPattern], *, requests: int = REQUESTS_MEASURED
) -> list[float]:
    """The achieved fraction of each pattern."""
    return [achieved(memory, pattern, requests=requests).fraction for pattern in patterns]


@cache
def _share_out(pure: bool) -> Callable[[Replay, Ints, Ints, Ints], int]:
    compiled = numba_installed() and not pure
    return linked("share_out", (timing, losses), compiled=compiled)


def lost_time(
    served: Served, begin: int, end: int, fraction: float, *, pure: bool = False
) -> dict[str, float]:
    """Shares of the peak lost to each cause, of the measured stretch of time."""
    device, table = served.system.device, served.table
    organisation = device.organisation
    nodes = table[NODES:CONSTRAINTS]
    nodes[:, READY:RECENT] = 0
    nodes[:, RECENT:] = -1
    per_clock = 2 if device.half_clock else 1
    replay = Replay(device.burst, 2 * per_clock, organisation.scope_banks, begin, end)
    banks = np.zeros((organisation.banks * served.system.channels, REPLAY_COLUMNS), dtype=np.int64)
    ticks = np.zeros((1, len(CAUSES)), dtype=np.int64)
    _share_out(pure)(replay, table, banks, ticks)
    elapsed = (end - begin) * organisation.pseudo_channels * served.system.channels
    ticks[0, CAUSES.index("empty")] += elapsed - int(ticks.sum())
    given = {cause: int(ticks[0, n]) for n, cause in enumerate(CAUSES) if n != BUSY}
    scale = (1.0 - fraction) / (sum(given.values()) or 1)
    return {cause: part * scale for cause, part in given.items()}

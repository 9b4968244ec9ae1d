"""What one access pattern gets from a memory.

lost = 1 − achieved / peak = refresh + turnaround + bank groups + activation rate + row conflicts
       + empty queues + command bus
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from sim import dram
from sim.errors import UserError
from sim.scenario.memory import StudiedMemory, require_within
from sim.scenario.memory_patterns import ChosenPattern, access_pattern
from sim.version import __version__

REQUESTS = 60_000
REQUESTS_UNCOMPILED = 3_000
MOST_REQUESTS = 500_000
_FEWEST_REQUESTS = 100
_LEAST_LOAD = 0.01
_SATURATED = 0.98

SLOW = (
    "without numba the DRAM model runs as plain Python, a hundred times slower: pip install 'bandwall[dram]'"
)


@dataclass(frozen=True, slots=True)
class MemoryRun:
    """What one pattern got from a memory; `load` is the share of the peak that was offered, if any."""

    studied: StudiedMemory
    pattern: ChosenPattern
    load: float | None
    requests: int
    seed: int
    achieved: dram.Achieved
    notes: tuple[str, ...]

    @property
    def has_latency(self) -> bool:
        """Whether anything was read; writes are posted and have no latency."""
        return self.achieved.mean_latency > 0

    @property
    def lost_shares(self) -> dict[str, float]:
        """How what was lost divides, adding up to 1."""
        total = sum(self.achieved.lost.values()) or 1.0
        return {cause: part / total for cause, part in self.achieved.lost.items()}

    def to_json(self) -> dict[str, object]:
        """Plain data; `lost` are shares of the peak, which add up to 1 with `fraction`."""
        a = self.achieved
        latencies = {"mean": a.mean_latency, "p50": a.p50_latency, "p99": a.p99_latency}
        return {
            "schema": 1,
            "version": __version__,
            "kind": "memory_run",
            "memory": self.studied.to_json(),
            "pattern": {"name": self.pattern.name, **self.pattern.parameters},
            "load": self.load,
            "requests": self.requests,
            "seed": self.seed,
            "achieved_gb_s": a.bandwidth / 1e9,
            "fraction": a.fraction,
            **{f"{k}_latency_ns": s * 1e9 if self.has_latency else None for k, s in latencies.items()},
            "row_hit_rate": a.row_hit_rate,
            "lost": dict(a.lost),
            "lost_shares": self.lost_shares,
            "notes": list(self.notes),
            "figures": [asdict(assumption) for assumption in self.studied.assumptions],
        }


def memory_run(
    studied: StudiedMemory,
    pattern: str,
    parameters: Mapping[str, object] | None = None,
    *,
    load: float | None = None,
    requests: int | None = None,
    seed: int = 1,
) -> MemoryRun:
    """Serves a pattern on the memory. Same arguments, same numbers.

    Args:
        pattern: a name of `sim.scenario.memory_patterns.FORMS`, with its parameters.
        load: share of the peak that is offered; None offers as much as is taken.
        requests: completions measured; None takes 60,000, 3,000 where the model is not compiled.
    Raises:
        UserError: for an unknown pattern, a parameter or a value that is not allowed.
    """
    chosen = access_pattern(pattern, parameters or {})
    if load is not None and not _LEAST_LOAD <= load <= 1:
        raise UserError(f"load must be a share of the peak from {_LEAST_LOAD:g} to 1, found {load:g}")
    count = measured_requests(requests)
    require_seed(seed)
    _require_room(studied.memory, chosen)
    found = dram.achieved(studied.memory, chosen.access, load=load, requests=count, seed=seed)
    return MemoryRun(studied, chosen, load, count, seed, found, _notes(load, found))


def measured_requests(asked: int | None) -> int:
    """How many requests are measured.

    Raises:
        UserError: for a number that is too small to say anything or too large for memory.
    """
    if asked is None:
        return REQUESTS if dram.numba_installed() else REQUESTS_UNCOMPILED
    return require_within("requests", asked, _FEWEST_REQUESTS, MOST_REQUESTS)


def require_seed(seed: int) -> None:
    """Refuses a seed that is no 64-bit number."""
    if not 0 <= seed < 2**63:
        raise UserError(f"seed must be a whole number from 0 to 2^63 − 1, found {seed}")


def speed_notes() -> tuple[str, ...]:
    """That the model is slow here, if it is."""
    return () if dram.numba_installed() else (SLOW,)


def _require_room(memory: dram.ChipMemory, chosen: ChosenPattern) -> None:
    """A piece must leave room for others beside it, or it could not lie anywhere."""
    spec = chosen.access.in_channel(memory)
    most = spec.lines // 4
    if max(spec.chunk, spec.granularity, spec.stride) > most:
        size = most * memory.system.device.organisation.transaction_bytes
        raise UserError(
            f"access pattern {chosen.text}: a channel's share of a piece must not exceed a quarter of the "
            f"channel, {size / 2**20:,.0f} MiB"
        )


def _notes(load: float | None, found: dram.Achieved) -> tuple[str, ...]:
    said = list(speed_notes())
    if load is not None and found.fraction < _SATURATED * load:
        said.append(
            f"a load of {100 * load:.1f} % of the peak is more than the memory takes: requests pile up in "
            "front of it, and the latency grows with their number"
        )
    if not found.mean_latency:
        said.append("writes are posted and have no latency")
    return tuple(said)

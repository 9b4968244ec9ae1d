"""Two curves of a memory: bandwidth against the size of contiguous pieces, latency against load."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from sim import dram
from sim.scenario.memory import StudiedMemory
from sim.scenario.memory_patterns import ChosenPattern, access_pattern
from sim.scenario.memory_run import measured_requests, require_seed, speed_notes
from sim.version import __version__

ENGINES = 8
"""Readers side by side in the gathered curve."""

LOADED = ("weights", "paged-kv", "random")
"""Patterns whose latency is drawn against load."""

LOADS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98)
"""Loads as shares of what the pattern gets when it asks for all: beyond, latency has no bound."""

_DOUBLINGS = 7
"""Doublings of the piece beyond a turn of all channels; later ones change little."""


@dataclass(frozen=True, slots=True)
class ChunkPoint:
    """Achieved shares of the peak where pieces of `size` bytes are contiguous, `in_channel` of them in one
    channel: by one reader, and by several side by side."""

    size: int
    in_channel: int
    one: float
    gathered: float


@dataclass(frozen=True, slots=True)
class LoadPoint:
    """Latencies of reads, seconds from their arrival, where `load` (share of the peak) is offered."""

    load: float
    mean: float
    p50: float
    p99: float


@dataclass(frozen=True, slots=True)
class LoadCurve:
    """One pattern's latency against load; `limit` is the share of the peak at which it is saturated."""

    pattern: ChosenPattern
    limit: float
    points: tuple[LoadPoint, ...]


@dataclass(frozen=True, slots=True)
class MemoryCurve:
    """Both curves; `stream` is the share of the peak that a stream without end achieves."""

    studied: StudiedMemory
    requests: int
    seed: int
    stream: float
    chunks: tuple[ChunkPoint, ...]
    loads: tuple[LoadCurve, ...]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return {
            "schema": 1,
            "version": __version__,
            "kind": "memory_curve",
            "memory": self.studied.to_json(),
            "requests": self.requests,
            "seed": self.seed,
            "stream_fraction": self.stream,
            "chunks": [asdict(point) for point in self.chunks],
            "loads": [
                {
                    "pattern": {"name": curve.pattern.name, **curve.pattern.parameters},
                    "limit": curve.limit,
                    "points": [_load_json(point) for point in curve.points],
                }
                for curve in self.loads
            ],
            "notes": list(self.notes),
            "figures": [asdict(assumption) for assumption in self.studied.assumptions],
        }


def _load_json(point: LoadPoint) -> Mapping[str, float]:
    latencies = {"mean": point.mean, "p50": point.p50, "p99": point.p99}
    return {"load": point.load, **{f"{name}_latency_ns": 1e9 * s for name, s in latencies.items()}}


def memory_curve(studied: StudiedMemory, *, requests: int | None = None, seed: int = 1) -> MemoryCurve:
    """Measures both curves, `requests` completions at each point (as `memory_run` takes them).

    Raises:
        UserError: for a number that is not allowed.
    """
    count = measured_requests(requests)
    require_seed(seed)
    memory = studied.memory
    return MemoryCurve(
        studied,
        count,
        seed,
        stream=dram.achieved(memory, dram.weight_stream(), requests=count, seed=seed).fraction,
        chunks=_chunks(memory, count, seed),
        loads=tuple(_load_curve(memory, access_pattern(name, {}), count, seed) for name in LOADED),
        notes=speed_notes(),
    )


def _sizes(memory: dram.ChipMemory) -> list[int]:
    """Pieces within one channel's turn, doubling, then from a turn of all channels on.

    Between the two a piece only touches more channels, each for one turn.
    """
    within = [memory.system.device.organisation.transaction_bytes]
    while within[-1] < memory.interleave:
        within.append(2 * within[-1])
    whole = round(memory.interleave * memory.channels)
    beyond = [whole << doubling for doubling in range(_DOUBLINGS + 1)]
    return within + [size for size in beyond if size > within[-1]]


def _chunks(memory: dram.ChipMemory, requests: int, seed: int) -> tuple[ChunkPoint, ...]:
    found: dict[int, tuple[float, float]] = {}
    points: list[ChunkPoint] = []
    for size in _sizes(memory):
        in_channel = memory.contiguous_in_channel(size)
        if in_channel not in found:
            patterns = dram.random_chunks(size), dram.sparse_rows(size, ENGINES)
            one, gathered = (
                dram.achieved(memory, p, requests=requests, seed=seed).fraction for p in patterns
            )
            found[in_channel] = one, gathered
        points.append(ChunkPoint(size, in_channel, *found[in_channel]))
    return tuple(points)


def _load_curve(memory: dram.ChipMemory, pattern: ChosenPattern, requests: int, seed: int) -> LoadCurve:
    limit = dram.achieved(memory, pattern.access, requests=requests, seed=seed).fraction
    points: list[LoadPoint] = []
    for share in LOADS:
        load = share * limit
        a = dram.achieved(memory, pattern.access, load=load, requests=requests, seed=seed)
        points.append(LoadPoint(load, a.mean_latency, a.p50_latency, a.p99_latency))
    return LoadCurve(pattern, limit, tuple(points))

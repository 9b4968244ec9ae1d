"""Request streams: which line each request touches and whether it writes, from a seed.

Draws are SplitMix64, whose k-th draw depends on seed and k alone, so that all of them are made at once.
A pattern is a few numbers (`PatternSpec`):

    seq          one stream through memory
    rw2          reads through the lower half, writes through the upper
    stride       every `stride`-th line; each time round one line further
    streams      `streams` sequential streams with equal distance, `granularity` lines in turn
    streams_rnd  the same from random lines
    rand         random chunks of `chunk` lines; `streams` of them at once, `granularity` lines in turn
    llm          weights (a stream), KV blocks (random chunks) and KV appends (short random writes)
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

Pattern = Literal["seq", "rw2", "stride", "streams", "streams_rnd", "rand", "llm"]
PATTERNS: tuple[str, ...] = get_args(Pattern)

_GAMMA = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class PatternSpec:
    """A stream over `lines` lines; sizes are in lines.

    Attributes:
        write_fraction: of the requests (seq, rw2, stride, streams) or of the chunks (rand).
        weights, blocks, appends: shares of the traffic of the llm pattern.
    """

    pattern: Pattern
    lines: int
    chunk: int = 1
    stride: int = 1
    streams: int = 1
    granularity: int = 1
    write_fraction: float = 0.0
    weights: float = 0.70
    blocks: float = 0.25
    appends: float = 0.05
    seed: int = 1


def splitmix64(seed: int, count: int) -> NDArray[np.uint64]:
    """The first `count` draws of SplitMix64 (Steele, Lea and Flood 2014)."""
    steps = np.arange(1, count + 1, dtype=np.uint64)
    z = np.uint64(seed & _MASK) + steps * np.uint64(_GAMMA)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def unit(draws: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Draws as numbers in [0, 1) with 53 bits."""
    return (draws >> np.uint64(11)).astype(np.float64) * (1.0 / 9007199254740992.0)


def generate(spec: PatternSpec, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(line, 1 for a write) of the first `count` requests."""
    match spec.pattern:
        case "rand":
            return _chunks(spec, count)
        case "llm":
            return _inference(spec, count)
        case "streams" | "streams_rnd":
            return _streams(spec, count)
        case "rw2":
            write = _coin(spec, count, 0)
            half = spec.lines // 2
            reads, writes = np.cumsum(1 - write) - 1, np.cumsum(write) - 1
            return np.where(write == 1, half + writes % half, reads % half), write
        case "seq":
            return np.arange(count, dtype=np.int64) % spec.lines, _coin(spec, count, 0)
        case "stride":
            far = np.arange(count, dtype=np.int64) * spec.stride
            return (far + far // spec.lines) % spec.lines, _coin(spec, count, 0)


def _coin(spec: PatternSpec, count: int, drawn: int) -> NDArray[np.int64]:
    """1 where a draw falls below the write fraction; no draw is made if the outcome is certain."""
    if spec.write_fraction <= 0 or spec.write_fraction >= 1:
        return np.full(count, int(spec.write_fraction >= 1), dtype=np.int64)
    draws = splitmix64(spec.seed, drawn + count)[drawn:]
    return (unit(draws) < spec.write_fraction).astype(np.int64)


def _turns(spec: PatternSpec, count: int, granularity: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(stream, position within the stream) of each request when streams take turns."""
    i = np.arange(count, dtype=np.int64)
    turn = i // granularity
    return turn % spec.streams, (turn // spec.streams) * granularity + i % granularity


def _streams(spec: PatternSpec, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    stream, position = _turns(spec, count, spec.granularity)
    if spec.pattern == "streams":
        base = np.arange(spec.streams, dtype=np.int64) * (spec.lines // spec.streams)
        drawn = 0
    else:
        base = (splitmix64(spec.seed, spec.streams) % np.uint64(spec.lines)).astype(np.int64)
        drawn = spec.streams
    return (base[stream] + position) % spec.lines, _coin(spec, count, drawn)


def _chunks(spec: PatternSpec, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Random chunks; a chunk draws its place and, if undecided, its direction when its turn first comes."""
    granularity = min(spec.granularity, spec.chunk)
    stream, position = _turns(spec, count, granularity)
    starts = np.flatnonzero(position % spec.chunk == 0)
    chunk = np.empty(count, dtype=np.int64)
    _number_chunks(stream, position // spec.chunk, starts, chunk, spec.streams)
    undecided = 0 < spec.write_fraction < 1
    draws = splitmix64(spec.seed, starts.size * (2 if undecided else 1))
    places = draws[::2] if undecided else draws
    base = (places % np.uint64(spec.lines // spec.chunk)).astype(np.int64) * spec.chunk
    if undecided:
        write = (unit(draws[1::2]) < spec.write_fraction).astype(np.int64)
    else:
        write = np.full(starts.size, int(spec.write_fraction >= 1), dtype=np.int64)
    return base[chunk] + position % spec.chunk, write[chunk]


def _number_chunks(
    stream: NDArray[np.int64],
    nth: NDArray[np.int64],
    starts: NDArray[np.int64],
    chunk: NDArray[np.int64],
    streams: int,
) -> None:
    """Writes into `chunk` the number, in order of first touch, of the chunk each request belongs to."""
    table = np.full((streams, int(nth.max()) + 1), -1, dtype=np.int64)
    table[stream[starts], nth[starts]] = np.arange(starts.size)
    chunk[:] = table[stream, nth]


def _inference(spec: PatternSpec, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Granules of weights, KV block or KV append, drawn by their shares; each is `granularity` lines long."""
    size, quarter = spec.granularity, spec.lines // 4
    granules = -(-count // size)
    draws = splitmix64(spec.seed, 2 * granules + count // spec.chunk + 1)
    units = unit(draws)
    line = np.empty(granules * size, dtype=np.int64)
    write = np.zeros(granules * size, dtype=np.int64)
    k, weight, base, position, left = 0, 0, 0, 0, 0
    places = range(size)
    for granule in range(granules):
        at = granule * size
        u = units[k]
        k += 1
        if u < spec.weights:
            line[at : at + size] = np.arange(weight, weight + size) % (spec.lines // 2)
            weight += size
        elif u < spec.weights + spec.blocks:
            for place in places:
                if left == 0:
                    base = spec.lines // 2 + int(draws[k] % np.uint64(quarter // spec.chunk)) * spec.chunk
                    k, position, left = k + 1, 0, spec.chunk
                line[at + place] = base + position
                position, left = position + 1, left - 1
        else:
            start = quarter * 3 + int(draws[k] % np.uint64(quarter // size)) * size
            k += 1
            line[at : at + size] = np.arange(start, start + size)
            write[at : at + size] = 1
    return line[:count], write[:count]


def arrival_ticks(seed: int, lines_per_tick: float, count: int) -> NDArray[np.int64]:
    """Tick at which each request arrives when every tick brings one with probability `lines_per_tick`.

    More than one a tick: while p > 0, one arrives with probability p, then p falls by one.
    """
    trials: list[float] = []
    p = lines_per_tick
    while p > 0:
        trials.append(p)
        p -= 1
    ticks = int(count / lines_per_tick * 1.2) + 1000
    arrived = np.zeros(0, dtype=np.int64)
    while arrived.size < count:
        draws = unit(splitmix64(seed, ticks * len(trials))).reshape(ticks, len(trials))
        arrived = np.repeat(np.arange(ticks), (draws < np.array(trials)).sum(axis=1))
        ticks *= 2
    return arrived[:count]


def trace_hash(line: NDArray[np.int64], write: NDArray[np.int64]) -> str:
    """FNV-1a over line · 2 + write of the requests, eight bytes each, least significant first."""
    h = 1469598103934665603
    for byte in (line * 2 + write).astype("<i8").tobytes():
        h = ((h ^ byte) * 1099511628211) & _MASK
    return f"{h:016x}"

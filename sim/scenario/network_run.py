"""`bandwall network`: what a collective takes on a cluster against its message's size.

    algbw = size / time        busbw = algbw · share of the message that crosses a chip's link

busbw as nccl-tests defines it: 2(n−1)/n for an all-reduce, (n−1)/n for gather, scatter, all-to-all, else 1.
Each time has a band: the 10th and 90th percentile over 64 seeded draws of all figures of the tiers.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import cast

import numpy as np

from sim.documents import Document
from sim.errors import UserError, unknown
from sim.figures import Assumption, Resolution
from sim.hardware import ClusterProfile, complete_cluster, read_cluster, resolve_cluster
from sim.hardware.cluster import Cluster
from sim.network.collectives import (
    all_reduce_phases,
    all_to_all_phases,
    broadcast_phases,
    gather_phases,
    point_to_point,
)
from sim.network.contended import beside
from sim.network.fair_share import Uses
from sim.network.flows import Flow
from sim.network.group import levels
from sim.network.link_time import LinkTime, nothing, one_after_another
from sim.network.stacks import FASTEST
from sim.network.wiring import HOST, Wiring
from sim.operators.quantities import Array
from sim.scenario.overrides import overridden, parse_override
from sim.scenario.paths import Place
from sim.units import BANDWIDTH, BYTES, parse
from sim.version import __version__

TYPES: Mapping[str, int] = {"int8": 1, "fp8": 1, "half": 2, "bfloat16": 2, "float": 4}
_DRAWS = 64
_ROUTE = re.compile(rf"^(\d+|{HOST})->(\d+|{HOST})(?::(.+))?$")
_MOST_SIZES = 64

Phases = Callable[[Cluster, int, Array], Sequence[LinkTime]]


@dataclass(frozen=True, slots=True)
class _Kind:
    """A collective: its phases, the share of a message that crosses a link, whether a count is a rank's."""

    phases: Phases
    bus: Callable[[int], float]
    counted_by_rank: bool
    reduces: bool


def _on(phases: Callable[..., Sequence[LinkTime]], *more: object) -> Phases:
    return lambda cluster, ranks, message: phases(levels(cluster, ranks), message, *more)


def _gathered(ranks: int) -> float:
    return (ranks - 1) / ranks


COLLECTIVES: Mapping[str, _Kind] = {
    "all_reduce": _Kind(_on(all_reduce_phases, FASTEST), lambda n: 2 * (n - 1) / n, False, True),
    "all_gather": _Kind(_on(gather_phases), _gathered, True, False),
    "reduce_scatter": _Kind(_on(gather_phases), _gathered, True, True),
    "all_to_all": _Kind(_on(all_to_all_phases), _gathered, True, False),
    "broadcast": _Kind(_on(broadcast_phases), lambda _: 1.0, False, False),
    "send": _Kind(
        lambda of, n, message: [point_to_point(of, 0, n - 1, message)],
        lambda _: 1.0,
        False,
        False,
    ),
}


@dataclass(frozen=True, slots=True)
class NetworkPoint:
    """One size of message (B): elements per rank, algorithm, s alone with band, s beside other traffic."""

    size: float
    count: int
    algorithm: str
    time: float
    low: float
    high: float
    beside: float | None


@dataclass(frozen=True, slots=True)
class NetworkRun:
    """A collective on a cluster over message sizes."""

    cluster: Cluster
    collective: str
    ranks: int
    dtype: str
    background: tuple[str, ...]
    points: tuple[NetworkPoint, ...]
    assumptions: tuple[Assumption, ...]

    @property
    def redop(self) -> str:
        """As nccl-tests prints it."""
        return "sum" if COLLECTIVES[self.collective].reduces else "none"

    def algbw(self, size: float, time: float) -> float:
        """B/s of the message."""
        return size / time if time > 0 else 0.0

    def busbw(self, size: float, time: float) -> float:
        """B/s over a chip's link."""
        return self.algbw(size, time) * COLLECTIVES[self.collective].bus(self.ranks)

    def to_json(self) -> dict[str, object]:
        """Plain data; columns are those of nccl-tests, times in µs, bandwidths in GB/s."""
        return {
            "schema": 1,
            "version": __version__,
            "cluster": self.cluster.name,
            "collective": self.collective,
            "ranks": self.ranks,
            "with": list(self.background),
            "rows": [self._row(point) for point in self.points],
            "assumptions": [
                {"path": a.path, "value": a.text, "basis": a.basis, "source": a.source}
                for a in self.assumptions
            ],
        }

    def _row(self, point: NetworkPoint) -> dict[str, object]:
        row: dict[str, object] = {
            "size": point.size,
            "count": point.count,
            "type": self.dtype,
            "redop": self.redop,
            "time": 1e6 * point.time,
            "algbw": self.algbw(point.size, point.time) / 1e9,
            "busbw": self.busbw(point.size, point.time) / 1e9,
            "algorithm": point.algorithm,
            "time_p10": 1e6 * point.low,
            "time_p90": 1e6 * point.high,
        }
        if point.beside is not None:
            row |= {
                "time_with": 1e6 * point.beside,
                "busbw_with": self.busbw(point.size, point.beside) / 1e9,
            }
        return row


def network_run(
    cluster: str,
    *,
    collective: str = "all_reduce",
    ranks: int | None = None,
    sizes: str = "1KiB..1GiB",
    dtype: str = "half",
    background: Sequence[str] = (),
    sets: Sequence[str] = (),
    seed: int = 0,
) -> NetworkRun:
    """Prices a collective at each size, alone, with its band, and beside background flows.

    Args:
        cluster: a shipped cluster, or a path.
        ranks: consecutive chips from 0 on; all by default. A send goes from the first to the last.
        sizes: "FIRST..LAST", doubling, or a list with commas.
        background: "SOURCE->TARGET" or "SOURCE->TARGET:RATE", ends a chip's number or "host".
    Raises:
        UserError: for an unknown name or size, or a rank outside the cluster.
    """
    if collective not in COLLECTIVES:
        raise unknown("collective", collective, COLLECTIVES)
    if dtype not in TYPES:
        raise unknown("type", dtype, TYPES)
    profile = _profile(cluster, sets)
    resolution = Resolution()
    of = resolve_cluster(profile, resolution)
    group = of.chips if ranks is None else ranks
    if not 2 <= group <= of.chips:
        raise UserError(f"--ranks {group}: a collective on {of.name} takes 2 to {of.chips} chips")
    message = np.array(_sizes(sizes), np.float64)
    kind = COLLECTIVES[collective]
    time = _whole(kind, of, group, message)
    used = tuple(
        a for a in resolution.assumptions if a.path.startswith(("tiers.", "chip.links", "chip.memory.band"))
    )
    drawn = _drawn(profile, used, kind, group, message, seed)
    low, high = np.quantile(drawn, 0.1, axis=0), np.quantile(drawn, 0.9, axis=0)
    flowing = _beside(of, kind, group, message, background) if background else [None] * message.size
    names = time.algorithm if len(time.algorithm) > 1 else time.algorithm * message.size
    counted = TYPES[dtype] * (group if kind.counted_by_rank else 1)
    points = [
        NetworkPoint(size, max(int(size // counted), 1), *row)
        for size, *row in zip(
            message.tolist(), names, time.total.tolist(), low.tolist(), high.tolist(), flowing, strict=True
        )
    ]
    return NetworkRun(of, collective, group, dtype, tuple(background), tuple(points), used)


def _profile(cluster: str, sets: Sequence[str]) -> ClusterProfile:
    tree: object = read_cluster(cluster)
    for text in sets:
        override = parse_override(text.removeprefix("cluster."))
        tree = overridden(override, tree, Place((ClusterProfile,)))
    document = Document(cluster, tree)
    return ClusterProfile.model_validate(complete_cluster(cast("dict[str, object]", tree), document, None))


def _sizes(text: str) -> list[float]:
    try:
        if ".." not in text:
            return [parse(part.strip(), BYTES) for part in text.split(",")]
        first, last = (parse(part.strip(), BYTES) for part in text.split("..", 1))
        if not 0 < first <= last:
            raise ValueError("the first must be more than 0 and not more than the last")
    except ValueError as error:
        raise UserError(f"--sizes {text}: {error}; write 1KiB..1GiB, or sizes with commas between") from None
    doublings = int(np.floor(np.log2(last / first) + 1e-9)) + 1
    if doublings > _MOST_SIZES:
        raise UserError(f"--sizes {text}: {doublings} sizes are more than {_MOST_SIZES}")
    return [first * 2.0**i for i in range(doublings)]


def _whole(kind: _Kind, of: Cluster, ranks: int, message: Array) -> LinkTime:
    phases = kind.phases(of, ranks, message)
    return one_after_another(phases) if phases else nothing(message)


def _drawn(
    profile: ClusterProfile, used: Sequence[Assumption], kind: _Kind, ranks: int, message: Array, seed: int
) -> Array:
    """Times over draws of the figures, one row a draw."""
    uniform = np.random.default_rng(seed).random((_DRAWS, len(used)))
    return np.array(
        [
            _whole(
                kind,
                resolve_cluster(
                    profile, Resolution(draw=dict(zip((a.path for a in used), row, strict=True)))
                ),
                ranks,
                message,
            ).total
            for row in uniform.tolist()
        ]
    )


def _beside(
    of: Cluster, kind: _Kind, ranks: int, message: Array, background: Sequence[str]
) -> list[float | None]:
    wiring = Wiring(of)
    flows = [_flow(wiring, text) for text in background]
    times: list[float | None] = []
    for size in message:
        phases = kind.phases(of, ranks, np.array([size]))
        uses = [[_links(wiring, kind, tier, ranks) for tier in phase.carried] for phase in phases]
        times.append(beside(wiring, phases, uses, flows))
    return times


def _links(wiring: Wiring, kind: _Kind, tier: str, ranks: int) -> Uses:
    if kind is COLLECTIVES["send"]:
        return wiring.route(0, ranks - 1)
    return wiring.collective(tier, ranks)


def _flow(wiring: Wiring, text: str) -> Flow:
    parts = _ROUTE.match(text.replace(" ", ""))
    if parts is None:
        raise UserError(
            f"--with {text}: write SOURCE->TARGET or SOURCE->TARGET:RATE, as in 0->1:20GB/s or host->3"
        )
    source, target = (end if end == HOST else int(end) for end in parts.group(1, 2))
    try:
        rate = parse(parts[3], BANDWIDTH) if parts[3] else inf
        return Flow(wiring.route(source, target), inf, limit=rate)
    except ValueError as error:
        raise UserError(f"--with {text}: {error}") from None

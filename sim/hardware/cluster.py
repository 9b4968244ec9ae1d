"""A cluster as data: one kind of chip, and the tiers of links that join the chips, innermost first."""

from dataclasses import dataclass
from typing import Literal

from sim.hardware.chip import Chip

Topology = Literal["switch", "mesh", "ring", "torus", "pcie", "clos"]


@dataclass(frozen=True, slots=True)
class Tier:
    """One level of the fabric.

    Attributes:
        name: "scale_up", "scale_out", or a name of the profile's own.
        domain: chips joined at this level, all levels below included.
        bandwidth: B/s per chip and direction (a pcie tree: the chip's own link).
        latency: s, one small message between two chips of the domain, protocol included.
        topology: how the chips are joined.
        efficiency: achievable share of `bandwidth` for large messages.
        hop: s, what each further step of an algorithm adds.
        launch: s, fixed time of a library collective (NCCL class) at this level.
        low_latency: s, fixed time of a one-/two-shot low-latency kernel; 0 if the fabric has none.
        reduction: B/s per chip of in-network reduction (NVLS/SHARP class); 0 if the fabric has none.
        through_host: chips reach one another only through host memory.
        ramp: k in launch + l + t + k·√(l·t), what filling a pipeline of latency l and transfer t costs.
        peer_share: what each further peer adds to a low-latency kernel, as a share of `low_latency`.
        one_shot_share: share of the achievable bandwidth at which a chip reads all its peers at once.
        exchange_launches: fixed time of a de-duplicating expert exchange, in `launch`es.
        exchange_low_launches: fixed time of a low-latency expert exchange, in `low_latency`s.
        exchange_rank_step: what doubling the ranks adds to the latter, likewise.
        exchange_share: share of the achievable bandwidth left to messages of one token.

    The figures of low-latency kernels are 0 where the fabric has none.
    """

    name: str
    domain: int
    bandwidth: float
    latency: float
    topology: Topology
    efficiency: float
    hop: float
    launch: float
    low_latency: float
    reduction: float
    through_host: bool
    ramp: float
    peer_share: float
    one_shot_share: float
    exchange_launches: float
    exchange_low_launches: float
    exchange_rank_step: float
    exchange_share: float


@dataclass(frozen=True, slots=True)
class Cluster:
    """Chips of one kind joined by tiers; `chips` in all. `overhead_power` is W per chip beside the chip
    (host, NICs, fans); `host_bandwidth` is B/s per chip and direction to host memory."""

    name: str
    title: str
    chip: Chip
    chips: int
    tiers: tuple[Tier, ...]
    host_bandwidth: float
    overhead_power: float

    @property
    def server(self) -> int:
        """Chips in the innermost domain."""
        return self.tiers[0].domain

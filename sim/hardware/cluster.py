"""A cluster as data: one kind of chip, and the tiers of links that join the chips, innermost first."""

from dataclasses import dataclass
from typing import Literal

from sim.hardware.chip import Chip

Topology = Literal["switch", "mesh", "ring", "torus", "pcie", "clos"]
AlgorithmName = Literal["ring", "tree", "halving-doubling", "in-network", "direct"]


@dataclass(frozen=True, slots=True)
class Tier:
    """One level of the fabric.

    Attributes:
        name: "scale_up", "scale_out", or a name of the profile's own.
        domain: chips joined at this level, all levels below included.
        bandwidth: B/s per direction of a chip's link (a pcie tree: the chip's own).
        shared: chips that share such a link: a network card of the host, the uplink of a switch.
        oversubscription: what all chips could send over what the level carries when all send.
        static_share: share of the bandwidth left to traffic whose routes are fixed.
        behind: the tier inside this one whose links its traffic passes as well, if any.
        latency: s, one small message between two chips of the domain, protocol included.
        topology: how the chips are joined.
        dimensions: chips along each dimension of a torus.
        algorithms: those the library has on this fabric; all if none is named.
        efficiency: achievable share of `bandwidth` for large messages.
        hop: s, what each further step of an algorithm adds.
        launch: s, fixed time of a library collective (NCCL class) at this level.
        low_latency: s, fixed time of a one-/two-shot low-latency kernel; 0 if the fabric has none.
        eager_launch: s, host time of one call from a Python framework outside a graph; 0 if unknown.
        reduction: link bytes per second and chip that the switch reduces; 0 if it cannot.
        through_host: chips reach one another only through host memory.
        ramp: k in launch + l + t + k·√(l·t), what filling a pipeline of latency l and transfer t costs.
        flagged_share: share of the achievable bandwidth left to words that carry an arrival flag each.
        widening: share of a flagged collective's latency that opening all channels adds.
        bulk_launches: fixed time of a collective in bulk, in `launch`es.
        direct_launches: the same of a direct exchange, whose pieces wait for no ring.
        copy_share: share of the memory's bandwidth at which a chip copies its own part of a message.
        peer_share: what each further peer adds to a low-latency kernel, as a share of `low_latency`.
        one_shot_share: share of the achievable bandwidth at which a chip reads all its peers at once.
        two_shot_share: likewise, each peer's part at a time, and for copies by the cores of an exchange.
        two_shot_starts, switch_shot_starts: fixed time of a two-shot kernel, and of one that sums in the
            switch, in `low_latency`s.
        exchange_launches: fixed time of a de-duplicating expert exchange, in `launch`es; of a tier between
            servers, for each doubling of them.
        exchange_core_rate: B/s that one core copies in it.
        exchange_message: s of a core for each message it sends in it.
        exchange_send_passes, exchange_sum_passes: passes over a token whatever its copies, to send it and to
            read, add up and write a result.
        exchange_buffering: work of a result that leaves its server, one buffer more each way.
        exchange_first: a core's rate over that of the warp that handles one token.
        exchange_rank_step: what doubling the ranks adds to a low-latency exchange, in `low_latency`s.
        exchange_expert_step: what each expert adds to it, likewise.
        exchange_share: share of the achievable bandwidth left to messages of one token.
        exchange_sum_share: of that, what is left to results, which are read and added up.
        exchange_unpack_rate: B/s at which one core unpacks what arrives for an expert.
        pj_byte: J per byte that a chip sends, all hops to the receiver together.

    The figures of low-latency kernels are 0 where the fabric has none.
    """

    name: str
    domain: int
    bandwidth: float
    shared: int
    oversubscription: float
    static_share: float
    behind: str
    latency: float
    topology: Topology
    dimensions: tuple[int, ...]
    algorithms: tuple[str, ...]
    efficiency: float
    hop: float
    launch: float
    low_latency: float
    eager_launch: float
    reduction: float
    through_host: bool
    ramp: float
    flagged_share: float
    widening: float
    bulk_launches: float
    direct_launches: float
    copy_share: float
    peer_share: float
    one_shot_share: float
    two_shot_share: float
    two_shot_starts: float
    switch_shot_starts: float
    exchange_launches: float
    exchange_core_rate: float
    exchange_message: float
    exchange_send_passes: float
    exchange_sum_passes: float
    exchange_buffering: float
    exchange_first: float
    exchange_rank_step: float
    exchange_expert_step: float
    exchange_share: float
    exchange_sum_share: float
    exchange_unpack_rate: float
    pj_byte: float = 0.0


@dataclass(frozen=True, slots=True)
class Cluster:
    """Chips of one kind joined by tiers; `chips` in all. `overhead_power` is W per chip beside the chip
    (host, NICs, fans); `host_bandwidth` is B/s per chip and direction to host memory; `power_cap` is W that a
    chip and its share of the box may draw, 0 for no more than the design power."""

    name: str
    title: str
    chip: Chip
    chips: int
    tiers: tuple[Tier, ...]
    host_bandwidth: float
    overhead_power: float
    power_cap: float = 0.0

    @property
    def server(self) -> int:
        """Chips in the innermost domain."""
        return self.tiers[0].domain

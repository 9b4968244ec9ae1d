"""An operator as work for the engines of one chip: numbers only, ready to be simulated.

A communication's bytes leave HBM on one side and arrive in it on the other, so that it takes, beside its
links, 2 · wire bytes of HBM traffic while it transfers. Kernels that copy tokens on cores of their own (the
de-duplicating exchange) keep those from everybody else meanwhile; others leave all cores once they have sent.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sim.hardware.cluster import Cluster
from sim.network import LinkTime
from sim.network.exchange import CORES
from sim.operators import (
    Collective,
    DecodeAttention,
    Elementwise,
    ExpertExchange,
    Experts,
    Gemm,
    Hop,
    Operator,
    PrefillAttention,
    StateUpdate,
)
from sim.operators.quantities import Array
from sim.timing.attention import decode_passes, prefill_passes, state_passes
from sim.timing.elementwise import elementwise_passes
from sim.timing.experts import experts_passes
from sim.timing.links import link_time
from sim.timing.passes import Kernel, Pass
from sim.timing.products import gemm_passes
from sim.timing.rates import Rates

Computing = Gemm | Elementwise | DecodeAttention | PrefillAttention | StateUpdate | Experts
Communicating = Collective | ExpertExchange | Hop
HBM = "HBM"


@dataclass(frozen=True, slots=True)
class Sliced:
    """One pass in `slices` equal slices: s on each engine in all, s of HBM's whole bandwidth in `memory`."""

    slices: int
    memory: float
    bus: float
    matrix: float
    vector: float

    @property
    def alone(self) -> float:
        """Seconds on a chip that does nothing else (sim.timing.passes)."""
        longest = max(self.memory, self.matrix, self.vector)
        return (self.memory + self.matrix + self.vector + (self.slices - 1) * longest) / self.slices


@dataclass(frozen=True, slots=True)
class Transfer:
    """Bytes on the links: s of latency, then s of transfer alone, and the share of each fabric tier and of
    HBM that it keeps busy meanwhile; `cores` is the share of the chip's cores that it holds."""

    latency: float
    seconds: float
    shares: Mapping[str, float]
    cores: float = 0.0


@dataclass(frozen=True, slots=True)
class Job:
    """One execution of an operator.

    Attributes:
        launch: s before it takes any engine; passes or transfer: what follows.
        flops, hbm_bytes, wire_bytes: as in the breakdown, per chip.
        imbalance: share of its time alone in which the mean rank waits for the slowest.
        lane: the stream it is issued to where communication has one of its own.
        ahead: slices of its first pass that the copy stream may draw before it starts: weights, which depend
            on nothing, as far as the cores' memory holds them beside the work in hand.
    """

    operator: str
    group: str
    launch: float
    passes: tuple[Sliced, ...] = ()
    transfer: Transfer | None = None
    flops: float = 0.0
    hbm_bytes: float = 0.0
    wire_bytes: float = 0.0
    imbalance: float = 0.0
    lane: Literal["compute", "communication"] = "compute"
    ahead: int = 0

    @property
    def alone(self) -> float:
        """Seconds on a chip that does nothing else."""
        moved = 0.0 if self.transfer is None else self.transfer.latency + self.transfer.seconds
        return self.launch + sum(one.alone for one in self.passes) + moved


def kernel(operator: Computing, rates: Rates) -> Kernel:
    """Passes of a computing operator over all cases."""
    rates = rates.of(operator)
    match operator:
        case Gemm():
            return gemm_passes(operator, rates)
        case Elementwise():
            return elementwise_passes(operator, rates)
        case DecodeAttention():
            return decode_passes(operator, rates)
        case PrefillAttention():
            return prefill_passes(operator, rates)
        case StateUpdate():
            return state_passes(operator, rates)
        case Experts():
            return experts_passes(operator, rates)


def transfer_seconds(transfer: Array, wire_bytes: Array, rates: Rates) -> Array:
    """Seconds of a transfer alone: on its links, or in and out of HBM where that is slower."""
    return np.maximum(transfer, 2.0 * wire_bytes / rates.hbm)


def job(operator: Operator, weights: tuple[float, ...], rates: Rates, cluster: Cluster) -> Job:
    """One execution, each figure the weighted sum over the operator's cases."""
    shares = np.array(weights)

    def total(by_case: Array | float) -> float:
        return float(np.broadcast_to(by_case, shares.shape) @ shares)

    if isinstance(operator, Collective | ExpertExchange | Hop):
        sent = link_time(operator, cluster, rates.link_taken)
        seconds = total(transfer_seconds(sent.transfer, sent.wire_bytes, rates))
        tiers = {tier: total(taken) for tier, taken in sent.levels.items()}
        whole = sum(tiers.values())
        busy = {tier: taken / whole for tier, taken in tiers.items()} if whole > 0 else {}
        memory = min(1.0, 2.0 * total(sent.wire_bytes) / (rates.hbm * max(seconds, 1e-30)))
        return Job(
            operator.name,
            operator.group,
            total(sent.launch),
            transfer=Transfer(
                total(sent.latency), seconds, busy | {HBM: memory}, total(_copying(sent, rates))
            ),
            wire_bytes=total(sent.wire_bytes),
            lane="communication",
        )
    work = kernel(operator, rates)
    alone, balanced = (
        total(sum((one.alone.total for one in passes), np.zeros(1)))
        for passes in (work.passes, work.balanced)
    )
    passes = tuple(_sliced(one, total) for one in work.passes)
    ahead = _ahead(operator, total, rates) * passes[0].slices if isinstance(operator, Gemm) else 0.0
    return Job(
        operator.name,
        operator.group,
        total(work.launch),
        passes,
        flops=total(operator.flops),
        hbm_bytes=total(operator.hbm_bytes),
        imbalance=max(0.0, 1.0 - balanced / alone) if work.balanced and alone > 0 else 0.0,
        ahead=int(ahead),
    )


def _ahead(gemm: Gemm, total: Callable[[Array], float], rates: Rates) -> float:
    """Share of a product's bytes that half of the cores' memory takes of its weights, on chips whose cores
    hold two pieces of work."""
    if not rates.prefetches:
        return 0.0
    return min(gemm.weight_bytes, rates.cores * rates.scratchpad / 2.0) / total(gemm.hbm_bytes)


def _copying(sent: LinkTime, rates: Rates) -> Array:
    """Share of the cores that an exchange copies with, by case."""
    names = sent.algorithm * len(sent.transfer) if len(sent.algorithm) == 1 else sent.algorithm
    return np.array([name == "normal" for name in names]) * min(1.0, CORES / rates.cores)


def _sliced(one: Pass, total: Callable[[Array], float]) -> Sliced:
    slices = round(total(one.slices) / total(np.ones(1)))
    return Sliced(slices, total(one.memory), total(one.bus), total(one.matrix), total(one.vector))

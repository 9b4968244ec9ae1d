"""One price per operator at each fidelity, behind one small interface."""

from dataclasses import replace
from typing import Protocol

import numpy as np

from sim.hardware.cluster import Cluster
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
from sim.operators.chunks import TILE, padded_rows
from sim.operators.quantities import Array
from sim.timing.attention import price_decode, price_prefill, price_state
from sim.timing.elementwise import price_elementwise
from sim.timing.experts import price_experts
from sim.timing.links import price_link
from sim.timing.priced import Priced
from sim.timing.products import price_gemm
from sim.timing.rates import Rates
from sim.timing.roofline import limits, prefill_bound
from sim.timing.timer import DramUse


class Pricer(Protocol):
    """Prices operators on one chip of one cluster under given conditions."""

    @property
    def source(self) -> str:
        """What the price of whatever is no operator is called in a breakdown."""
        ...

    def priced_by(self, operator: Operator) -> str:
        """What an operator's price is called in a breakdown."""
        ...

    def price(self, operator: Operator) -> Priced:
        """Seconds of one execution by cause, over all cases."""
        ...

    def padding(self, operator: Operator) -> Array:
        """Seconds of `price`'s compute that a matrix array which the operator's tiles filled would save."""
        ...

    def prefill(self, attention: PrefillAttention) -> float:
        """Seconds of one prefill attention; equals the total of `price`."""
        ...

    def chunk_key(self, new: int, past: int) -> tuple[int, int]:
        """What the price of a chunk depends on."""
        ...

    def dram(self, operator: Operator) -> DramUse | None:
        """How the operator is taken to go through memory; None where at the peak, or not at all."""
        ...

    def host(self, fixed: float, per_sequence: float) -> tuple[float, float]:
        """The host's costs as this fidelity counts them."""
        ...


class _OneSource:
    """A pricer with one source for every operator."""

    source: str

    def priced_by(self, operator: Operator) -> str:
        """Its source."""
        return self.source

    def padding(self, operator: Operator) -> Array:
        """Not told apart."""
        return np.zeros(1)


class KernelPricer(_OneSource):
    """What every price of real kernels shares: whole tiles, what DRAM gives them, the engine's host."""

    def __init__(self, rates: Rates, cluster: Cluster) -> None:
        self._rates = rates
        self._cluster = cluster

    def chunk_key(self, new: int, past: int) -> tuple[int, int]:
        """Kernels pad chunks to whole tiles."""
        return padded_rows(new), -(-past // TILE)

    def dram(self, operator: Operator) -> DramUse | None:
        """The operator's access and its f_dram; None for communication."""
        return self._rates.of_operator(operator)

    def host(self, fixed: float, per_sequence: float) -> tuple[float, float]:
        """As the engine has them."""
        return fixed, per_sequence


class AnalyticPricer(KernelPricer):
    """Mechanistic closed forms: tiles and waves, launches, sampled loads, collective algorithms."""

    source = "analytic"

    def price(self, operator: Operator) -> Priced:
        """Seconds of one execution by cause, over all cases."""
        return self._priced(operator, self._rates.of(operator))

    def padding(self, operator: Operator) -> Array:
        """What its time on the chip falls by without the array's padding and filling."""
        rates = self._rates.of(operator)
        if rates.array is None:
            return np.zeros(1)
        padded, filled = (self._priced(operator, r) for r in (rates, replace(rates, array=None)))
        saved = padded.compute + padded.hbm - filled.compute - filled.hbm
        return np.clip(saved, 0.0, padded.compute)

    def _priced(self, operator: Operator, rates: Rates) -> Priced:
        match operator:
            case Gemm():
                return price_gemm(operator, rates)
            case Elementwise():
                return price_elementwise(operator, rates)
            case DecodeAttention():
                return price_decode(operator, rates)
            case PrefillAttention():
                launch, compute, hbm = price_prefill(operator, rates)
                return Priced(np.array([launch]), np.array([compute]), np.array([hbm]), np.zeros(1))
            case StateUpdate():
                return price_state(operator, rates)
            case Experts():
                return price_experts(operator, rates)
            case Collective() | ExpertExchange() | Hop():
                return price_link(operator, self._cluster, self._rates.link_taken)

    def prefill(self, attention: PrefillAttention) -> float:
        """Seconds of one prefill attention."""
        return sum(price_prefill(attention, self._rates.of(attention)))


class RooflinePricer(_OneSource):
    """The speed of light: each operator takes what its scarcest resource needs at its datasheet peak."""

    source = "roofline"

    def __init__(self, rates: Rates, cluster: Cluster) -> None:
        self._rates = rates
        self._cluster = cluster

    def price(self, operator: Operator) -> Priced:
        """The bound, all of it on the resource that sets it, but for waiting for the slowest rank."""
        least = limits(operator, self._rates, self._cluster)
        zero, working = np.zeros_like(least.bound), least.bound - least.imbalance
        on_link = (least.link >= least.compute) & (least.link >= least.hbm) & (least.link > 0)
        on_compute = ~on_link & (least.compute > least.hbm)
        compute = np.where(on_compute, working, zero)
        link = np.where(on_link, working, zero)
        return Priced(zero, compute, working - compute - link, link, least.imbalance)

    def prefill(self, attention: PrefillAttention) -> float:
        """The bound of one prefill attention."""
        return prefill_bound(attention, self._rates)

    def chunk_key(self, new: int, past: int) -> tuple[int, int]:
        """Every token counts."""
        return new, past

    def dram(self, operator: Operator) -> DramUse | None:
        """Light goes at the peak."""
        return None

    def host(self, fixed: float, per_sequence: float) -> tuple[float, float]:
        """Light has no host."""
        return 0.0, 0.0

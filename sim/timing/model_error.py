"""Prices with the model's own error drawn: each class of operators takes a factor of its time."""

from collections.abc import Mapping

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
from sim.timing.priced import Priced
from sim.timing.pricer import Pricer
from sim.timing.timer import DramUse


def operator_class(operator: Operator) -> str:
    """The class that an operator's error is measured in; a state update counts as the decode it replaces."""
    match operator:
        case Gemm():
            return "gemm"
        case Elementwise():
            return "elementwise"
        case Experts():
            return "experts"
        case PrefillAttention():
            return "latent_prefill" if operator.expanded else "prefill"
        case DecodeAttention():
            return "latent_decode" if operator.latent else "decode"
        case StateUpdate():
            return "decode"
        case Collective() | ExpertExchange() | Hop():
            return "communication"


class ErringPricer:
    """Another pricer's prices, each times the factor of its operator's class."""

    def __init__(self, pricer: Pricer, factors: Mapping[str, float]) -> None:
        self._pricer = pricer
        self._factors = factors

    @property
    def source(self) -> str:
        """As the pricer's own."""
        return self._pricer.source

    def priced_by(self, operator: Operator) -> str:
        """As the pricer's own."""
        return self._pricer.priced_by(operator)

    def price(self, operator: Operator) -> Priced:
        """Seconds of one execution by cause, over all cases."""
        return self._pricer.price(operator).scaled(self._factors[operator_class(operator)])

    def padding(self, operator: Operator) -> Array:
        """As much longer as the price."""
        return self._pricer.padding(operator) * self._factors[operator_class(operator)]

    def prefill(self, attention: PrefillAttention) -> float:
        """Seconds of one prefill attention."""
        return self._factors[operator_class(attention)] * self._pricer.prefill(attention)

    def chunk_key(self, new: int, past: int) -> tuple[int, int]:
        """As the pricer's own."""
        return self._pricer.chunk_key(new, past)

    def dram(self, operator: Operator) -> DramUse | None:
        """As the pricer's own."""
        return self._pricer.dram(operator)

    def host(self, fixed: float, per_sequence: float) -> tuple[float, float]:
        """As the pricer's own: the host is no operator."""
        return self._pricer.host(fixed, per_sequence)

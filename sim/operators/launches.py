"""How many kernels a host launches for an operator where no captured graph replays them.

Counted in vLLM 0.20's model code. What our operators leave inside another (rotation and cache append in
attention; top-k, sorting, quantising, activation and combination in the experts; convolution, gating and the
passes of the chunked form in a recurrence) is launched one by one there.
"""

from sim.operators.operators import (
    DecodeAttention,
    ExpertExchange,
    Experts,
    Operator,
    PrefillAttention,
    StateUpdate,
)

ATTENTION = 4
EXPERTS = 8
EXCHANGE = 2
CHUNKED_STATE = 25
SINGLE_STATE = 6


def launches(operator: Operator) -> int:
    """Kernels of one execution."""
    match operator:
        case PrefillAttention() | DecodeAttention():
            return ATTENTION
        case Experts():
            return EXPERTS
        case ExpertExchange():
            return EXCHANGE
        case StateUpdate():
            return CHUNKED_STATE if operator.chunked else SINGLE_STATE
        case _:
            return 1


def splits_graphs(operator: Operator) -> bool:
    """Whether a step with prefill chunks runs it between captured pieces: what depends on the sequences."""
    return isinstance(operator, PrefillAttention | DecodeAttention | StateUpdate)

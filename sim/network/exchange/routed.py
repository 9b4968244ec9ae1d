"""What an expert exchange moves: how many copies of how many tokens, and where to."""

from dataclasses import dataclass

from sim.operators.quantities import Array


@dataclass(frozen=True, slots=True)
class Routed:
    """Tokens on their way to their experts' chips (dispatch) or back (combine).

    Attributes:
        tokens: tokens each chip sends.
        copies: messages per token, one per expert and chip that holds a part of it.
        distinct: destinations per token, each chip counted once, its own included.
        nodes: likewise, each innermost domain counted once.
        token_bytes: B of one message.
        experts: experts of the block, on all chips.
        combine: results are added up on their way back.
    """

    tokens: Array
    copies: float
    distinct: float
    nodes: float
    token_bytes: float
    experts: int
    combine: bool

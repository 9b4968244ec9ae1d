"""What chips send one another in a step: collectives, expert exchange, hops between pipeline stages."""

from dataclasses import dataclass
from typing import Literal

from sim.operators.quantities import Array


@dataclass(frozen=True, slots=True)
class Collective:
    """All chips of a group of `ranks`, `stride` chips apart, exchange `message` logical bytes: what each
    holds at the end of an all-gather, at the beginning of the others."""

    name: str
    group: str
    count: int
    kind: Literal["all_reduce", "all_gather", "reduce_scatter"]
    ranks: int
    message: Array
    stride: int = 1


@dataclass(frozen=True, slots=True)
class ExpertExchange:
    """Tokens travel to their experts' ranks (dispatch) or back (combine).

    Attributes:
        ranks: chips of the group.
        tokens: tokens each chip sends; copies: messages per token, one per expert and chip that holds a
            part of it; distinct: the same, once per chip; nodes: once per innermost domain.
        token_bytes: bytes of one copy.
        experts: experts of the block; combine: results on their way back.
    """

    name: str
    group: str
    count: int
    ranks: int
    tokens: Array
    copies: float
    distinct: float
    nodes: float
    token_bytes: float
    experts: int
    combine: bool


@dataclass(frozen=True, slots=True)
class Hop:
    """Activations passed from one pipeline stage to the next, from chip `source` to chip `target`."""

    name: str
    group: str
    count: int
    source: int
    target: int
    message: Array

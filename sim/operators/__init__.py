"""One engine step as operators with shapes: what is computed, how many FLOPs and bytes, on each chip."""

from sim.operators.access import ACTIVATIONS, WEIGHTS, Access
from sim.operators.batch import BatchShape
from sim.operators.chunks import ChunkWork, chunk_work
from sim.operators.drafting import GROUP as DRAFT
from sim.operators.launches import launches, splits_graphs
from sim.operators.loads import ExpertLoads, expert_loads, sample_loads
from sim.operators.lowering import LayerBlocks, Lowering
from sim.operators.operators import (
    Collective,
    DecodeAttention,
    Elementwise,
    ExpertExchange,
    Experts,
    Gemm,
    Heads,
    Hop,
    Operator,
    PrefillAttention,
    StateUpdate,
)
from sim.operators.routing import Balancing, Routing
from sim.operators.separated import Side, side_of
from sim.operators.step import lower, lowering_of

__all__ = [
    "ACTIVATIONS",
    "DRAFT",
    "WEIGHTS",
    "Access",
    "Balancing",
    "BatchShape",
    "ChunkWork",
    "Collective",
    "DecodeAttention",
    "Elementwise",
    "ExpertExchange",
    "ExpertLoads",
    "Experts",
    "Gemm",
    "Heads",
    "Hop",
    "LayerBlocks",
    "Lowering",
    "Operator",
    "PrefillAttention",
    "Routing",
    "Side",
    "StateUpdate",
    "chunk_work",
    "expert_loads",
    "launches",
    "lower",
    "lowering_of",
    "sample_loads",
    "side_of",
    "splits_graphs",
]

"""The operators of an engine step: shapes, FLOPs and bytes per chip, without a time.

Sizes that vary from step to step (tokens, sequences, contexts) are arrays over *cases*, so that one
operator describes a whole grid of steps at once; a single step is an array of length one. Everything
an operator counts (`flops`, `hbm_bytes`) is one execution on one chip; `count` says how many of them
the step runs. Bytes are compulsory: every weight, key, value and activation once, caches cold.
"""

from dataclasses import dataclass
from typing import Literal

from sim.models.dtypes import bytes_per_value, weight_bytes_per_value
from sim.operators.chunks import ChunkWork
from sim.operators.communication import Collective, ExpertExchange, Hop
from sim.operators.experts import Experts
from sim.operators.quantities import ACTIVATION_BYTES, Array


@dataclass(frozen=True, slots=True)
class Gemm:
    """`batch` products Y[rows, columns] = X[rows, inner] · W[inner, columns].

    Attributes:
        rows: tokens of each case.
        weights: storage type of W (bf16 for an activation-by-activation product); activations: type of X.
        arithmetic: the type the product runs in.
    """

    name: str
    group: str
    count: int
    rows: Array
    inner: int
    columns: int
    weights: str
    activations: str
    arithmetic: str
    batch: int = 1

    @property
    def flops(self) -> Array:
        """2 · batch · rows · inner · columns."""
        return 2.0 * self.batch * self.inner * self.columns * self.rows

    @property
    def weight_bytes(self) -> float:
        """Bytes of W, block scales included."""
        return self.batch * self.inner * self.columns * weight_bytes_per_value(self.weights)

    @property
    def input_bytes(self) -> Array:
        """Bytes of X."""
        return self.batch * self.inner * bytes_per_value(self.activations) * self.rows

    @property
    def output_bytes(self) -> Array:
        """Bytes of Y."""
        return self.batch * self.columns * ACTIVATION_BYTES * self.rows

    @property
    def hbm_bytes(self) -> Array:
        """W + X + Y."""
        return self.weight_bytes + self.input_bytes + self.output_bytes


@dataclass(frozen=True, slots=True)
class Elementwise:
    """A norm, activation, gate, quantiser or sampler: `values` bytes streamed per row, read and written.

    `launch` is "kernel" for a kernel of its own, "quantise" for an activation quantiser.
    """

    name: str
    group: str
    count: int
    rows: Array
    bytes_per_row: float
    flops_per_row: float
    launch: Literal["kernel", "quantise"] = "kernel"

    @property
    def flops(self) -> Array:
        """Vector operations."""
        return self.rows * self.flops_per_row

    @property
    def hbm_bytes(self) -> Array:
        """Bytes read and written."""
        return self.rows * self.bytes_per_row


@dataclass(frozen=True, slots=True)
class DecodeAttention:
    """One query token per sequence against its cache.

    flops = 2 · heads · (qk_dim + v_dim) · context
    hbm   = (context read + one token appended per sequence) · cache bytes per token + queries and outputs

    Attributes:
        sequences: decodes of each case; context: Σ over them of tokens read.
        heads, kv_heads: on this chip; `kv_heads` 1 is multi-query (the absorbed MLA latent).
        cache_values: values read per token of context on this chip (MLA: the latent once).
        latent: absorbed MLA, whose kernels have parameters of their own.
    """

    name: str
    group: str
    count: int
    sequences: Array
    context: Array
    heads: int
    kv_heads: int
    qk_dim: int
    v_dim: int
    cache_values: int
    cache: str
    arithmetic: str
    latent: bool = False

    @property
    def flops(self) -> Array:
        """Scores and weighted sum."""
        return 2.0 * self.heads * (self.qk_dim + self.v_dim) * self.context

    @property
    def exps(self) -> Array:
        """Exponentials of the softmax."""
        return self.heads * self.context

    @property
    def cache_bytes(self) -> Array:
        """Bytes of cached keys and values read."""
        return self.cache_values * bytes_per_value(self.cache) * self.context

    @property
    def io_bytes(self) -> Array:
        """Queries, outputs and the appended token."""
        per_sequence = self.heads * (self.qk_dim + self.v_dim) * ACTIVATION_BYTES
        return self.sequences * (per_sequence + self.cache_values * bytes_per_value(self.cache))

    @property
    def hbm_bytes(self) -> Array:
        """Cache, queries, outputs."""
        return self.cache_bytes + self.io_bytes


@dataclass(frozen=True, slots=True)
class PrefillAttention:
    """Causal attention of the step's prefill chunks in one kernel.

    flops = 2 · heads · (qk_dim + v_dim) · pairs, pairs = Σ chunks Σ new tokens of the tokens they may see
    """

    name: str
    group: str
    count: int
    work: ChunkWork
    heads: int
    kv_heads: int
    qk_dim: int
    v_dim: int
    cache_values: int
    cache: str
    arithmetic: str

    @property
    def flops(self) -> float:
        """Scores and weighted sum."""
        return 2.0 * self.heads * (self.qk_dim + self.v_dim) * self.work.pairs

    @property
    def exps(self) -> float:
        """Exponentials of the softmax."""
        return self.heads * self.work.pairs

    @property
    def hbm_bytes(self) -> float:
        """Queries and outputs of the new tokens, keys and values that they see."""
        return self.work.new * self.heads * (
            self.qk_dim + self.v_dim
        ) * ACTIVATION_BYTES + self.work.seen * self.cache_values * bytes_per_value(self.cache)


@dataclass(frozen=True, slots=True)
class StateUpdate:
    """The recurrence of a linear-attention layer: each sequence's state read and written once a step.

    flops = tokens · flops_per_token,  hbm = sequences · 2 · state bytes + tokens · bytes_per_token
    """

    name: str
    group: str
    count: int
    sequences: Array
    tokens: Array
    state_bytes: float
    flops_per_token: float
    bytes_per_token: float
    arithmetic: str
    chunked: bool

    @property
    def flops(self) -> Array:
        """Of all tokens."""
        return self.tokens * self.flops_per_token

    @property
    def hbm_bytes(self) -> Array:
        """State twice per sequence, inputs and outputs per token."""
        return 2.0 * self.state_bytes * self.sequences + self.bytes_per_token * self.tokens


Operator = (
    Gemm
    | Elementwise
    | DecodeAttention
    | PrefillAttention
    | StateUpdate
    | Experts
    | Collective
    | ExpertExchange
    | Hop
)

"""The operators of an engine step: shapes, FLOPs and bytes per chip, without a time.

Sizes that vary from step to step (tokens, sequences, contexts) are arrays over *cases*, so that one
operator describes a whole grid of steps at once; a single step is an array of length one. Everything
an operator counts (`flops`, `hbm_bytes`) is one execution on one chip; `count` says how many of them
the step runs. Bytes are compulsory: every weight, key, value and activation once, caches cold.
"""

from dataclasses import dataclass

from sim.models.dtypes import bytes_per_value, weight_bytes_per_value
from sim.operators.access import ACTIVATIONS, WEIGHTS, Access
from sim.operators.chunks import ChunkWork
from sim.operators.communication import Collective, ExpertExchange, Hop
from sim.operators.experts import Experts
from sim.operators.quantities import ACTIVATION_BYTES, Array

BLOCK = 16
"""Tokens of a cache block where no engine says otherwise: vLLM's `block_size`."""


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
    def access(self) -> Access:
        """Weights from end to end."""
        return WEIGHTS

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

    `produces` is the type an activation quantiser writes, empty for any other kernel; `before` the product
    that it writes for, whose rows are this kernel's.
    """

    name: str
    group: str
    count: int
    rows: Array
    bytes_per_row: float
    flops_per_row: float
    produces: str = ""
    before: Gemm | None = None

    @property
    def access(self) -> Access:
        """A tensor in, a tensor out."""
        return ACTIVATIONS

    @property
    def flops(self) -> Array:
        """Vector operations."""
        return self.rows * self.flops_per_row

    @property
    def hbm_bytes(self) -> Array:
        """Bytes read and written."""
        return self.rows * self.bytes_per_row


@dataclass(frozen=True, slots=True)
class Heads:
    """The heads of one attention on one chip.

    Attributes:
        query, kv: query and key-value heads; `kv` 1 is multi-query (the absorbed MLA latent).
        qk_dim, v_dim: per head; cache_values: values cached per token (MLA: the latent once);
        cache: their type; arithmetic: the type scores are multiplied in.
    """

    query: int
    kv: int
    qk_dim: int
    v_dim: int
    cache_values: int
    cache: str
    arithmetic: str

    @property
    def scores_alone(self) -> bool:
        """An indexer's heads: ReLU and a weighted sum over heads, no softmax and no values."""
        return self.v_dim == 0

    @property
    def flops_per_pair(self) -> float:
        """Of one query token and one cached token, all heads: 2 · heads · (qk_dim + v_dim)."""
        return 2.0 * self.query * (self.qk_dim + self.v_dim)

    @property
    def io_bytes(self) -> float:
        """Queries and outputs of one token."""
        return self.query * (self.qk_dim + self.v_dim) * ACTIVATION_BYTES

    @property
    def cache_bytes(self) -> float:
        """Cache of one token."""
        return self.cache_values * bytes_per_value(self.cache)

    def cache_blocks(self, tokens: int, tensors: int) -> Access:
        """Blocks of so many tokens read from a cache of one tensor, or of two (K and V apart), as engines lay
        it out: the heads of a token side by side, the tokens of a block after one another."""
        what = "single cache rows" if tokens == 1 else f"cache blocks of {tokens} tokens"
        return Access("gather", what, tokens * self.cache_bytes / tensors)


@dataclass(frozen=True, slots=True)
class DecodeAttention:
    """`queries` tokens of each sequence against its cache: one, or more where drafts are verified.

    flops = queries · flops_per_pair · context
    hbm   = (context read + tokens appended) · cache_bytes + queries and outputs

    The queries of a sequence share one pass over its cache; a draft's causal mask is not subtracted.

    Attributes:
        sequences: decodes of each case; context: Σ over them of tokens read.
        latent: absorbed MLA, whose kernels have parameters of their own.
        block: tokens whose cache lies together; 1 where single rows are picked.
        kept: share of the new tokens that this chip caches, below 1 where ranks share a sequence.
    """

    name: str
    group: str
    count: int
    sequences: Array
    context: Array
    heads: Heads
    latent: bool = False
    queries: int = 1
    block: int = BLOCK
    kept: float = 1.0

    @property
    def access(self) -> Access:
        """Blocks of K and of V, or of the one tensor that is both (MLA) or keys alone (an indexer)."""
        return self.heads.cache_blocks(self.block, 1 if self.latent or self.heads.scores_alone else 2)

    @property
    def appended(self) -> Access:
        """The rows written: each sequence's own tokens at the end of its cache."""
        return Access("append", "new cache rows", self.access.contiguous / self.block)

    @property
    def read_bytes(self) -> Array:
        """Cache of the tokens read."""
        return self.heads.cache_bytes * self.context

    @property
    def new_bytes(self) -> Array:
        """Cache of the tokens appended, their queries and outputs, of all sequences."""
        return self.queries * (self.heads.io_bytes + self.kept * self.heads.cache_bytes) * self.sequences

    @property
    def arithmetic(self) -> str:
        """The type scores are multiplied in."""
        return self.heads.arithmetic

    @property
    def flops(self) -> Array:
        """Scores and weighted sum."""
        return self.queries * self.heads.flops_per_pair * self.context

    @property
    def exps(self) -> Array:
        """Exponentials of the softmax."""
        return self.queries * self.heads.query * self.context

    @property
    def hbm_bytes(self) -> Array:
        """Cache, queries, outputs."""
        return self.read_bytes + self.new_bytes


@dataclass(frozen=True, slots=True)
class PrefillAttention:
    """Causal attention of the step's prefill chunks in one kernel.

    flops = flops_per_pair · pairs, pairs = Σ chunks Σ new tokens of the tokens they may see
    hbm   = queries and outputs of the new tokens, cache of all tokens seen

    Attributes:
        expanded: MLA's latents expanded to keys and values before it, so that it prepares less itself.
        block: tokens whose cache lies together; 1 where single rows are picked.
    """

    name: str
    group: str
    count: int
    work: ChunkWork
    heads: Heads
    expanded: bool = False
    block: int = BLOCK

    @property
    def access(self) -> Access:
        """Blocks of K and of V, or of the one tensor that is both or keys alone."""
        latent = self.heads.kv == 1 and self.heads.cache_values == self.heads.qk_dim
        whole = latent or self.heads.scores_alone
        return self.heads.cache_blocks(self.block, 1 if whole else 2)

    @property
    def arithmetic(self) -> str:
        """The type scores are multiplied in."""
        return self.heads.arithmetic

    @property
    def flops(self) -> float:
        """Scores and weighted sum."""
        return self.heads.flops_per_pair * self.work.pairs

    @property
    def hbm_bytes(self) -> float:
        """Queries, outputs and the cache seen."""
        return self.work.new * self.heads.io_bytes + self.work.seen * self.heads.cache_bytes


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
    def access(self) -> Access:
        """States read and written, each in one piece."""
        return Access("mixed", "states read and written", self.state_bytes)

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

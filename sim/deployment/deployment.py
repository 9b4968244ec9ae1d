"""A model on chips: precision, parallel layout, engine limits. Plain resolved data."""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from sim.deployment.kv_tiers import KvOffload
from sim.hardware.cluster import Cluster
from sim.hardware.stacks import KernelClass
from sim.hardware.tiling import TileRule
from sim.models.architecture import ModelArchitecture, MoeFfn
from sim.models.matrices import Kind

Overlap = Literal["none", "single-batch", "two-batch"]
Popularity = Literal["lognormal", "zipf", "balanced"]


@dataclass(frozen=True, slots=True)
class Precision:
    """Storage type of weights by kind and of the KV cache, and the activation type.

    `weights` covers attention, FFN and expert matrices, each of which may have a type of its own instead
    (None: the common one); embedding, head, norms and router always have theirs.
    Types: bf16, fp16, fp8, int8, fp4, int4 (fp4 and int4 carry scale overhead). `fp8_scales` says what one
    scale of fp8 weights covers: a "block" of 128 × 128, or a "tensor" (or one of its channels).
    """

    weights: str = "bf16"
    attention: str | None = None
    dense_ffn: str | None = None
    experts: str | None = None
    shared_experts: str | None = None
    activations: str = "bf16"
    kv_cache: str = "bf16"
    embedding: str = "bf16"
    head: str = "bf16"
    norms: str = "bf16"
    router: str = "bf16"
    fp8_scales: str = "tensor"

    def stored(self, kind: Kind) -> str:
        """The type that weights of a kind are stored in."""
        own: str | None = getattr(self, kind)
        return self.weights if own is None else own


@dataclass(frozen=True, slots=True)
class FfnChips:
    """Chips that hold feed-forward blocks alone: `chips` of them, experts in `ep` groups, a step in
    `micro_batches`."""

    chips: int
    ep: int
    micro_batches: int


@dataclass(frozen=True, slots=True)
class Parallel:
    """Parallel sizes of one replica: chips = tp·pp·dp·pcp, and those of `ffn` where feed-forward blocks are
    apart; ep divides tp·dp·pcp and dcp divides tp."""

    tp: int = 1
    pp: int = 1
    dp: int = 1
    ep: int = 1
    pcp: int = 1
    dcp: int = 1
    ffn: FfnChips | None = None

    @property
    def chips(self) -> int:
        """Chips of one replica."""
        return self.tp * self.pp * self.dp * self.pcp + (0 if self.ffn is None else self.ffn.chips)

    @property
    def sizes(self) -> list[str]:
        """Sizes above 1 in words, as in ["tp 8", "ep 8"]."""
        sizes = [(name, getattr(self, name)) for name in ("tp", "pp", "dp", "ep", "pcp", "dcp")]
        sizes.append(("ffn", 0 if self.ffn is None else self.ffn.chips))
        return [f"{name} {size}" for name, size in sizes if size > 1]

    @property
    def feed_forward(self) -> "Parallel":
        """The layout of the feed-forward blocks: this one, or that of chips of their own, each of which
        computes dense blocks and shared experts for a part of the tokens."""
        return self if self.ffn is None else Parallel(dp=self.ffn.chips, ep=self.ffn.ep)

    @property
    def cp(self) -> int:
        """Ranks that share the KV cache of a sequence token by token: pcp · dcp."""
        return self.pcp * self.dcp

    @property
    def moe_tp(self) -> int:
        """Tensor-parallel size of the experts: tp·dp·pcp / ep."""
        return self.tp * self.dp * self.pcp // self.ep


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """Scheduler semantics and limits, per attention-dp rank; vLLM's names and meanings. `stack` is the
    software stack whose kernels run, "none" for the chip family's own."""

    family: str
    version: str
    scheduler: str
    max_num_seqs: int
    max_num_batched_tokens: int
    max_model_len: int
    block_size: int
    gpu_memory_utilization: float
    memory_share_of: str
    api_servers: str
    max_prefills_per_step: int | None
    enable_prefix_caching: bool
    enable_chunked_prefill: bool
    async_scheduling: bool
    scheduler_recv_interval: int
    batch_wait_timeout_iters: int
    batch_wait_max_tokens_ratio: float
    policy: str
    watermark: float
    scheduler_reserve_full_isl: bool
    long_prefill_token_threshold: int
    disable_hybrid_kv_cache_manager: bool
    expand_mla: bool
    stack: str


@dataclass(frozen=True, slots=True)
class FrontEndCosts:
    """What the server in front of an engine takes for a request (s): see sim.serving.front_end."""

    latency: float = 0.0
    request: float = 0.0
    prompt_token: float = 0.0
    stream: float = 0.0


@dataclass(frozen=True, slots=True)
class HostCosts:
    """Host time per step not hidden behind the device: fixed + per_sequence · sequences (s).

    `graph_sizes` are the batch sizes that decode graphs were captured or compiled for, ascending (a decode
    batch pads to the next), empty for none; `prefill_sizes` the compiled prompt and chunk lengths likewise;
    `launch` is what one kernel takes to launch outside them (s); `piecewise` says whether steps with prefill
    chunks replay captured pieces. `front_end` is the server's part, per request.
    """

    fixed: float
    per_sequence: float
    graph_sizes: tuple[int, ...]
    launch: float = 0.0
    prefill_sizes: tuple[int, ...] = ()
    piecewise: bool = True
    front_end: FrontEndCosts = FrontEndCosts()

    def padded_prefill(self, tokens: int) -> int:
        """Tokens that a chunk of so many computes: the next compiled length, or its own beyond the last."""
        sizes = self.prefill_sizes
        i = bisect_left(sizes, tokens)
        return sizes[i] if i < len(sizes) else tokens


@dataclass(frozen=True, slots=True)
class Speculation:
    """Drafts that every decode step verifies.

    Attributes:
        acceptance: for each draft of a step, the probability that it and all before it are right.
        drafter: what one drafting pass runs.
        modules: how many of it are kept in memory (prediction modules of later drafts).
        shares_weights: the drafter is a prediction module: embedding and head are the model's, and a
            projection of 2·hidden to hidden joins the token's embedding to the model's last hidden state.
    """

    acceptance: tuple[float, ...]
    drafter: ModelArchitecture
    modules: int
    shares_weights: bool

    @property
    def queries(self) -> int:
        """Tokens that a decode computes in a step: its last one and the drafts."""
        return 1 + len(self.acceptance)

    @property
    def mean_yield(self) -> float:
        """Mean tokens that a decode gets in a step: 1 + Σ acceptance."""
        return 1.0 + sum(self.acceptance)


@dataclass(frozen=True, slots=True)
class RunningKernel:
    """One kernel that the engine runs.

    Attributes:
        operator: its class; types: (weights, arithmetic), or (arithmetic, cache) of attention, in our names.
        text: the stack and what it says of the kernel, "" where the family's own runs.
        factors: on the family's parameters; tiles: rules by which it takes a product's tiles, none if it
            searches.
    """

    operator: KernelClass
    types: tuple[str, str]
    text: str
    factors: Mapping[str, float]
    tiles: tuple[TileRule, ...] = ()


@dataclass(frozen=True, slots=True)
class Startup:
    """What a compiled model takes before it serves: `compile` s, once, and loading at `load` B/s per chip."""

    compile: float
    load: float


@dataclass(frozen=True, slots=True)
class ExpertRouting:
    """How popular experts are: the law of their popularity, its skew, how much layers differ in it
    (standard deviation of the skew's logarithm), and the steps in which it drifts away (sim.operators.routing
    has the formulas)."""

    popularity: Popularity = "lognormal"
    skew: float = 0.0
    layer_spread: float = 0.0
    drift: float = 1.0


@dataclass(frozen=True, slots=True)
class ExpertBalancing:
    """`redundant` replicas of experts, placed anew every `step_interval` steps by the loads of the
    `window_size` steps before."""

    redundant: int
    window_size: int
    step_interval: int


@dataclass(frozen=True, slots=True)
class Deployment:
    """One kind of replica: `replicas` copies of `parallel.chips` chips each.

    `reserve` is device memory (B per chip) beside weights, activations and KV cache; `routing` how tokens
    spread over experts, `eplb` how replicas even that out, None for one slot each. `overlap` says what
    runs beside the exchange of experts' tokens: nothing, the shared experts of the same batch, or the other
    of two micro-batches. `kernels` are those that are not the chip family's own,
    `kv_offload` the stores below the KV cache. `sends_tokens` says that tokens go to the chips of their
    experts alone; otherwise every chip has the tokens of all ranks.
    """

    model: ModelArchitecture
    cluster: Cluster
    precision: Precision
    parallel: Parallel
    replicas: int
    engine: EngineLimits
    host: HostCosts
    reserve: float = 0.0
    startup: Startup | None = None
    routing: ExpertRouting = ExpertRouting()
    eplb: ExpertBalancing | None = None
    speculation: Speculation | None = None
    overlap: Overlap = "none"
    kernels: tuple[RunningKernel, ...] = ()
    kv_offload: KvOffload | None = None
    sends_tokens: bool = False

    @property
    def queries(self) -> int:
        """Tokens that a decode computes in a step."""
        return 1 if self.speculation is None else self.speculation.queries

    @property
    def mean_yield(self) -> float:
        """Mean tokens that a decode gets in a step: 1 without drafts."""
        return 1.0 if self.speculation is None else self.speculation.mean_yield

    @property
    def redundant_experts(self) -> int:
        """Slots for replicas of experts, in every layer."""
        return 0 if self.eplb is None else self.eplb.redundant

    @property
    def drafting(self) -> "Deployment | None":
        """The drafter on the chips of the last stage as a deployment of its own, None without speculation."""
        if self.speculation is None:
            return None
        drafter = self.speculation.drafter
        return replace(
            self, model=drafter, parallel=drafter_parallel(drafter, self.parallel), speculation=None
        )

    @property
    def feed_forward(self) -> "Deployment":
        """The deployment as its feed-forward blocks see it: on chips of their own, or this one."""
        return self if self.parallel.ffn is None else replace(self, parallel=self.parallel.feed_forward)

    @property
    def lockstep_ranks(self) -> int:
        """Attention-dp ranks that share every step: all of a mixture of experts', which meet in its experts;
        the ranks of a dense model share none, each is an engine of its own."""
        return self.parallel.dp if any(isinstance(layer.ffn, MoeFfn) for layer in self.model.layers) else 1


def drafter_parallel(drafter: ModelArchitecture, parallel: Parallel) -> Parallel:
    """The layout of a drafter beside a model: one stage, experts spread alike if it has any."""
    experts = any(isinstance(layer.ffn, MoeFfn) for layer in drafter.layers)
    return replace(parallel, pp=1, ep=parallel.ep if experts else 1)

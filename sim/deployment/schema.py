"""What a user may write under `deployment:`."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, Self, cast

from pydantic import AfterValidator, BaseModel, Field, field_validator, model_validator

from sim.deployment.deployment import Overlap, Popularity
from sim.deployment.engine_families import with_engine_defaults
from sim.deployment.kv_offload import KvOffloadSpec, read_kv_offload
from sim.deployment.speculation import SpeculationSpec, read_speculation
from sim.documents import WRITTEN
from sim.errors import UserError
from sim.figures import BandwidthFigure, BytesFigure, Figure, NumberFigure, TimeFigure, dump_figure
from sim.hardware.stacks import KernelClass
from sim.units import NUMBER

NEVER_RECOMPUTES = "no-evict"
"""The scheduler under which a step must hold prompts only: elsewhere who is preempted computes prompt and
answer again, in one step where prompts are not chunked."""
StorageType = Literal["bf16", "fp16", "fp8", "int8", "fp4", "int4"]
Count = Annotated[int, Field(ge=1, strict=True)]
Tokens = Annotated[int, Field(ge=0, strict=True)]
Switch = Annotated[bool, Field(strict=True)]


class PrecisionSpec(BaseModel):
    """Storage types. `weights` covers attention, FFN and expert matrices; the other kinds have their own."""

    model_config = WRITTEN

    weights: StorageType = Field(default="bf16", description="attention, FFN and expert matrices")
    attention: StorageType | None = Field(
        default=None, description="attention matrices, if another type than `weights`"
    )
    dense_ffn: StorageType | None = Field(default=None, description="dense FFN matrices, likewise")
    experts: StorageType | None = Field(default=None, description="routed experts, likewise")
    shared_experts: StorageType | None = Field(default=None, description="shared experts, likewise")
    activations: StorageType = Field(default="bf16", description="inputs of the matrix multiplications")
    kv_cache: StorageType = Field(default="bf16", description="keys and values, or the MLA latent")
    embedding: StorageType = Field(default="bf16", description="input embedding table")
    head: StorageType = Field(default="bf16", description="output head")
    norms: StorageType = Field(default="bf16", description="norm weights")
    router: StorageType = Field(default="bf16", description="expert router")
    fp8_scales: Literal["block", "tensor"] | None = Field(
        default=None,
        description="what one scale of fp8 weights covers, which decides their kernels: a block of 128 by "
        "128, or a tensor or channel; null: block for mixtures of experts and models released in fp8",
    )


class FfnChipsSpec(BaseModel):
    """Chips that hold feed-forward blocks alone, beside those that attend."""

    model_config = WRITTEN

    chips: Count = Field(description="chips of experts, shared experts and dense blocks")
    ep: Count = Field(description="expert parallel size over them; divides chips")
    micro_batches: Count = Field(
        default=3,
        description="micro-batches of a step under way between the two kinds of chips; 3 hide transfers "
        "shorter than half of either side's work (MegaScale-Infer, arXiv 2504.02263)",
    )


class ParallelSpec(BaseModel):
    """How one replica is spread: chips = tp · pp · dp · pcp, and ffn.chips."""

    model_config = WRITTEN

    tp: Count = Field(default=1, description="tensor parallel size of attention and dense layers")
    pp: Count = Field(default=1, description="pipeline stages")
    dp: Count = Field(default=1, description="attention data parallel ranks")
    ep: Count = Field(default=1, description="expert parallel size; divides tp·dp·pcp")
    pcp: Count = Field(
        default=1,
        description="prefill context parallel size (vLLM's prefill_context_parallel_size): ranks that share "
        "the tokens of prompts, and the KV cache",
    )
    dcp: Count = Field(
        default=1,
        description="decode context parallel size (vLLM's decode_context_parallel_size): tensor parallel "
        "ranks that share the KV cache token by token instead of copying it; divides tp",
    )
    ffn: FfnChipsSpec | None = Field(
        default=None,
        description="chips of their own for feed-forward blocks (attention-FFN disaggregation); null: every "
        "chip does both",
    )


MOST_SKEW = 4.0
"""Beyond it a few experts would take nearly every token."""


def _within_reason(skew: Figure) -> Figure:
    most = skew.value if skew.high is None else skew.high
    if most > MOST_SKEW:
        raise ValueError(f"{skew.text()} must not exceed {MOST_SKEW:g} (0 is uniform, a power law about 1.2)")
    return replace(skew, bounds=(0.0, MOST_SKEW))


POPULARITY = Figure(
    0.8,
    NUMBER,
    0.3,
    1.2,
    "estimate",
    "short decode steps of a 256-expert model take as long as the weights of 0.9-1.2 need (vLLM on B300); "
    "aiconfigurator prices DeepSeek and Qwen3 with power laws of exponent 1.0 and 1.2; expert load balancing "
    "brings 0.1-0.5",
)
"""Skew of experts' popularity where nothing is stated."""


LAYERS_ALIKE = Figure(
    0.0, NUMBER, 0.0, 0.5, "assumption", "no published load by layer; the skew is their mean"
)
"""How much layers differ in their skew where nothing is stated."""
DRIFT = Figure(
    20_000.0,
    NUMBER,
    3_000.0,
    200_000.0,
    "assumption",
    "engines place experts anew every 1,000 to 3,000 steps or 10 minutes, which would be pointless if "
    "popularity stayed much longer or went much sooner",
)
"""Steps in which popularity drifts away where nothing is stated."""


def _some_steps(drift: Figure) -> Figure:
    if drift.value <= 0.0 or drift.low == 0.0:
        raise ValueError(f"{drift.text()} must be above 0 steps")
    return drift


class RoutingSpec(BaseModel):
    """How tokens spread over the experts of a mixture: a property of model and traffic."""

    model_config = WRITTEN

    popularity: Popularity = Field(
        default="lognormal",
        description="law of the experts' popularity: log-normal or Zipf's, both by `skew`, or `balanced`, "
        "every expert as many tokens as any other",
    )
    skew: Annotated[NumberFigure, AfterValidator(_within_reason)] = Field(
        default=POPULARITY,
        description="standard deviation of the logarithm of an expert's popularity; 0: uniform, a power law "
        "of exponent 1: about 1.2. With `zipf` the exponent",
    )
    layer_spread: NumberFigure = Field(
        default=LAYERS_ALIKE, description="standard deviation of the logarithm of the layers' skews"
    )
    drift: Annotated[NumberFigure, AfterValidator(_some_steps)] = Field(
        default=DRIFT,
        description="steps in which the correlation of popularity with its past falls to 1/e; only replicas "
        "placed by past loads feel it",
    )


class BalancingSpec(BaseModel):
    """Replicas of experts placed by load; vLLM's names (`eplb_config`) and defaults."""

    model_config = WRITTEN

    num_redundant_experts: Tokens = Field(
        default=0, description="replicas in every layer, beside one slot for each expert"
    )
    step_interval: Count = Field(default=3000, description="steps from one placement to the next")
    window_size: Count = Field(default=1000, description="steps whose loads a placement goes by")


class HostCostSpec(BaseModel):
    """Host time per step that the device does not hide: fixed + per_sequence · sequences."""

    model_config = WRITTEN

    fixed: TimeFigure
    per_sequence: TimeFigure


class FrontEndSpec(BaseModel):
    """What the server in front of the engine takes for a request, before its first token."""

    model_config = WRITTEN

    latency: TimeFigure = Field(description="per request, beside others: HTTP, between processes, response")
    request: TimeFigure = Field(description="per request, one after another: accepting it")
    prompt_token: TimeFigure = Field(description="per prompt token, one after another: tokenising")
    stream: TimeFigure = Field(
        description="per running sequence: its token of a step is handled before a newcomer"
    )


class HostSpec(BaseModel):
    """Host costs with async scheduling (`overlapped`) and without (`exposed`); `launch`: time to launch one
    kernel outside captured graphs, as in most steps with prefill; `front_end`: the server's, per request."""

    model_config = WRITTEN

    launch: TimeFigure
    overlapped: HostCostSpec
    exposed: HostCostSpec
    front_end: FrontEndSpec


class CompiledSpec(BaseModel):
    """What a model was compiled for: whatever runs is padded to the next of these shapes."""

    model_config = WRITTEN

    decode_batches: Annotated[tuple[Count, ...], Field(min_length=1)] | None = Field(
        default=None, description="compiled decode batch sizes; null: max_num_seqs alone"
    )
    prefill_tokens: Annotated[tuple[Count, ...], Field(min_length=1)] | None = Field(
        default=None, description="compiled prompt or chunk lengths; null: max_num_batched_tokens alone"
    )
    weights: Annotated[tuple[StorageType, ...], Field(min_length=1)] = Field(
        description="types that weights may be stored in"
    )
    kv_cache: Annotated[tuple[StorageType, ...], Field(min_length=1)] = Field(
        description="types that keys and values may be stored in"
    )
    collectives: Literal["device", "host"] = Field(
        description="whether chips reach one another directly, or through host memory whatever the links can"
    )
    compile: TimeFigure = Field(description="time to compile all shapes, once")
    load: BandwidthFigure = Field(description="rate at which a chip's weights are loaded at a start")

    @field_validator("decode_batches", "prefill_tokens")
    @classmethod
    def _ascending(cls, sizes: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if sizes is not None and sorted(set(sizes)) != list(sizes):
            raise ValueError("sizes must ascend")
        return sizes


def _a_share(maturity: Figure) -> Figure:
    if not 0.0 < maturity.value <= 1.0 or (maturity.high or 0.0) > 1.0:
        raise ValueError(f"{maturity.text()} must be above 0 and at most 1, a mature kernel")
    return maturity


class EngineSpec(BaseModel):
    """Scheduler semantics, limits and costs, per attention-dp rank; vLLM's names and meanings.

    What is not stated comes from the table of the family's version.
    """

    model_config = WRITTEN

    family: str = Field(description="engine family, whose scheduler decides")
    version: str = Field(description="version of the family's table")
    scheduler: Literal["vllm", "vllm-legacy", "separate", "sglang", "no-evict"] = Field(
        description="whose rules decide: vllm mixes prefill and decode and recomputes who is preempted, "
        "vllm-legacy prefills whole prompts first, separate prefills chunks first, sglang likewise and "
        "retracts, no-evict admits only who can run to the end"
    )
    max_num_seqs: Count = Field(description="most sequences in a batch")
    max_num_batched_tokens: Count = Field(description="most tokens in a step")
    max_model_len: Count | None = Field(
        default=None,
        description="longest prompt plus output; null: the model's context, or what the KV cache holds",
    )
    block_size: Count = Field(description="tokens per KV block")
    gpu_memory_utilization: float = Field(
        gt=0,
        le=1,
        strict=True,
        allow_inf_nan=False,
        description="share of visible device memory the engine may take (also npu_memory_utilization)",
    )
    api_servers: Literal["one", "per_rank"] = Field(
        description="servers in front of the engine: one, or one for each attention-dp rank"
    )
    memory_share_of: Literal["visible", "free"] = Field(
        description="what gpu_memory_utilization is a share of: visible memory, or what weights, activations "
        "and reserve leave of it for the KV cache"
    )
    max_prefills_per_step: Count | None = Field(
        default=None, description="most prompts that one step prefills (scheduler separate); null: no limit"
    )
    enable_prefix_caching: Switch = Field(description="reuse KV blocks of equal prompt prefixes")
    enable_chunked_prefill: Switch = Field(description="split prompts over steps")
    async_scheduling: Switch = Field(description="schedule the next step while one runs")
    scheduler_recv_interval: Count = Field(
        description="decode steps between two looks at new requests (scheduler sglang)"
    )
    batch_wait_timeout_iters: Tokens = Field(
        description="steps for which prompts may be held back to run together (scheduler no-evict)"
    )
    batch_wait_max_tokens_ratio: float = Field(
        ge=0,
        le=1,
        strict=True,
        allow_inf_nan=False,
        description="share of max_num_batched_tokens at which held prompts run",
    )
    policy: Literal["fcfs", "priority"] = Field(description="order of the waiting queue")
    watermark: float = Field(
        ge=0, lt=1, strict=True, allow_inf_nan=False, description="share of blocks kept free at admission"
    )
    scheduler_reserve_full_isl: Switch = Field(description="admit only where the whole prompt fits")
    long_prefill_token_threshold: Tokens = Field(description="most tokens of one prompt in a step; 0: no cap")
    max_cudagraph_capture_size: Tokens = Field(
        description="largest decode batch captured as a graph; 0: no graphs"
    )
    piecewise_graphs: Switch = Field(
        description="steps with prefill, up to that many tokens, replay captured pieces between attentions; "
        "false: the host launches all of their kernels"
    )
    all2all_backend: Literal["auto", "allgather_reducescatter", "all_to_all"] = Field(
        description="how tokens of attention-dp ranks reach their experts: allgather_reducescatter brings "
        "all to every chip, all_to_all (DeepEP and its kin) each to the chips of its experts; auto: "
        "all_to_all where experts span servers, else allgather_reducescatter"
    )
    disable_hybrid_kv_cache_manager: Switch = Field(
        description="layers with a sliding window keep every token in the KV cache, not the window alone"
    )
    expand_mla: Switch = Field(description="cache full keys and values of MLA heads instead of the latent")
    stack: str = Field(
        description="software stack whose kernels run (hardware_profiles/stacks); none: the chip family's"
    )
    backends: dict[KernelClass, str] = Field(
        description="by class of kernels, the stack's kernel that runs, by the name that the engine's option "
        "has for it (moe: vLLM's --moe-backend, SGLang's --moe-runner-backend, TensorRT-LLM's "
        "moe_config.backend in lower case); left out: what the engine takes by itself"
    )
    maturity: dict[KernelClass, Annotated[NumberFigure, AfterValidator(_a_share)]] = Field(
        description="by class of kernels, share of what mature ones sustain of the chip's peaks; left out: 1"
    )
    compiled: CompiledSpec | None = Field(
        default=None,
        description="shapes and types the model is compiled for; null: none, graphs are captured",
    )
    reserve: BytesFigure = Field(description="device memory beside weights, activations and KV cache")
    host: HostSpec = Field(description="host time per step and per request")

    @model_validator(mode="before")
    @classmethod
    def _lay_over_the_family_table(cls, raw: object) -> object:
        if not isinstance(raw, Mapping):
            return raw
        try:
            return with_engine_defaults(cast("Mapping[str, object]", raw))
        except UserError as error:
            raise ValueError(str(error)) from None

    @model_validator(mode="after")
    def _limits_agree(self) -> Self:
        if self.max_num_seqs > self.max_num_batched_tokens:
            raise ValueError(
                f"max_num_batched_tokens {self.max_num_batched_tokens} must be at least max_num_seqs "
                f"{self.max_num_seqs}: every running sequence may need a token in a step"
            )
        batches = self.compiled.decode_batches if self.compiled else None
        if batches is not None and batches[-1] < self.max_num_seqs:
            raise ValueError(
                f"max_num_seqs {self.max_num_seqs} exceeds the largest of compiled.decode_batches, "
                f"{batches[-1]}"
            )
        longest = self.max_model_len
        recomputed_whole = not self.enable_chunked_prefill and self.scheduler != NEVER_RECOMPUTES
        if recomputed_whole and longest is not None and longest > self.max_num_batched_tokens:
            raise ValueError(
                f"without chunked prefill max_num_batched_tokens {self.max_num_batched_tokens} must be at "
                f"least max_model_len {longest}: a prompt must fit one step"
            )
        return self


def _default_engine() -> EngineSpec:
    return EngineSpec.model_validate({})


class DeploymentSpec(BaseModel):
    """A model on chips: precision, layout of one replica, number of replicas, routing to experts, engine."""

    model_config = WRITTEN

    precision: PrecisionSpec = Field(default_factory=PrecisionSpec)
    parallel: ParallelSpec = Field(default_factory=ParallelSpec)
    replicas: Count = Field(default=1, description="identical replicas")
    routing: RoutingSpec = Field(default_factory=RoutingSpec)
    eplb: BalancingSpec | None = Field(
        default=None, description="replicas of experts, placed by load; null: every expert stays where it is"
    )
    overlap: Overlap = Field(
        default="none",
        description="what runs beside the exchange of experts' tokens (fidelity event): `single-batch` the "
        "shared experts, `two-batch` the other half of the batch as well (vLLM's DBO, SGLang's SBO and TBO)",
    )
    engine: EngineSpec = Field(default_factory=_default_engine)
    speculation: SpeculationSpec | None = Field(
        default=None, description="drafts verified in every decode step; null: none"
    )
    kv_offload: KvOffloadSpec | None = Field(
        default=None, description="stores below the KV cache of the chips; null: none"
    )

    @model_validator(mode="after")
    def _every_decode_fits_a_step(self) -> Self:
        if self.speculation is None:
            return self
        engine, queries = self.engine, 1 + self.speculation.num_speculative_tokens
        if engine.max_num_seqs * queries > engine.max_num_batched_tokens:
            raise ValueError(
                f"engine.max_num_batched_tokens {engine.max_num_batched_tokens} must be at least "
                f"max_num_seqs {engine.max_num_seqs} · {queries}: a decode computes {queries} tokens a step"
            )
        return self


_ROUTING = {
    "popularity": "lognormal",
    "skew": dump_figure(POPULARITY),
    "layer_spread": dump_figure(LAYERS_ALIKE),
    "drift": dump_figure(DRIFT),
}


def read_deployment(raw: object, base: Path | None = None) -> object:
    """The raw `deployment:` tree with every field present, so that overrides can address it.

    A tree of the wrong shape is returned as it is; validation says what is wrong with it.

    Args:
        base: folder that relative paths start from; the working directory if None.
    Raises:
        UserError: unknown engine family or version, unknown draft model, unreadable acceptance file.
    """
    if raw is None:
        raw = {}
    if not isinstance(raw, Mapping):
        return raw
    tree = dict(cast("Mapping[str, object]", raw))
    precision = tree.get("precision", {})
    if isinstance(precision, Mapping):
        defaults = PrecisionSpec().model_dump()
        tree["precision"] = defaults | dict(cast("Mapping[str, object]", precision))
    parallel = tree.get("parallel", {})
    if isinstance(parallel, Mapping):
        tree["parallel"] = ParallelSpec().model_dump() | dict(cast("Mapping[str, object]", parallel))
    tree.setdefault("replicas", 1)
    tree.setdefault("overlap", "none")
    routing = tree.get("routing", {})
    if isinstance(routing, Mapping):
        tree["routing"] = _ROUTING | dict(cast("Mapping[str, object]", routing))
    engine = tree.get("engine", {})
    if isinstance(engine, Mapping):
        tree["engine"] = with_engine_defaults(cast("Mapping[str, object]", engine))
    if "speculation" in tree:
        tree["speculation"] = read_speculation(tree["speculation"], base)
    if "kv_offload" in tree:
        tree["kv_offload"] = read_kv_offload(tree["kv_offload"])
    return tree

"""From what the user wrote to a checked deployment: even splits, existing arithmetic, enough memory."""

from dataclasses import replace

from sim.deployment.deployment import (
    Deployment,
    EngineLimits,
    ExpertBalancing,
    ExpertRouting,
    FfnChips,
    FrontEndCosts,
    HostCosts,
    Parallel,
    Precision,
    Startup,
)
from sim.deployment.fit import described, remedy, shortfall
from sim.deployment.kernels import running_kernels
from sim.deployment.kv_offload import kv_offload
from sim.deployment.kv_tiers import KvOffload
from sim.deployment.layout import layout_problem
from sim.deployment.memory import MemoryMap, memory_map
from sim.deployment.precision import check_arithmetic
from sim.deployment.schema import (
    NEVER_RECOMPUTES,
    CompiledSpec,
    DeploymentSpec,
    EngineSpec,
    FrontEndSpec,
    ParallelSpec,
    PrecisionSpec,
)
from sim.deployment.speculation import speculate
from sim.errors import UserError
from sim.figures import Figure, Resolution
from sim.hardware.cluster import Cluster
from sim.models.architecture import ModelArchitecture, MoeFfn
from sim.models.matrices import Kind

_SERVER = 8
"""Chips of one host, at most, in the boxes that ship."""


def deploy(
    spec: DeploymentSpec, model: ModelArchitecture, cluster: Cluster, resolution: Resolution | None = None
) -> Deployment:
    """The model on the cluster as the spec lays it out.

    `max_model_len` null becomes the model's context, or what the KV cache (and, without chunked
    prefill, one step) holds if that is less.

    Args:
        resolution: resolves and remembers the figures of engine and routing; its prefix is the spec's
            place in the resolved tree ("deployment").
    Raises:
        UserError: an uneven split, missing arithmetic, too few chips, too little memory.
    """
    deployment = laid_out(spec, model, cluster, resolution)
    memory = memory_map(deployment)
    if not memory.fits:
        raise UserError(shortfall(deployment, memory))
    return _with_model_len(deployment, memory, spec.engine.max_model_len)


def laid_out(
    spec: DeploymentSpec, model: ModelArchitecture, cluster: Cluster, resolution: Resolution | None = None
) -> Deployment:
    """As `deploy`, whether it fits into memory or not.

    Raises:
        UserError: an uneven split, missing arithmetic, too few chips.
    """
    resolution = Resolution("deployment") if resolution is None else resolution
    precision = _precision(spec.precision, model)
    parallel = _parallel(spec.parallel)
    redundant = 0 if spec.eplb is None else spec.eplb.num_redundant_experts
    problem = layout_problem(model, parallel, precision.stored("experts"), redundant)
    if problem:
        raise UserError(f"deployment.parallel.{problem}")
    _check_chips(parallel, spec.replicas, cluster)
    check_arithmetic(precision, cluster.chip)
    cluster = _as_compiled(spec.engine.compiled, precision, cluster)
    speculation = None
    if spec.speculation is not None:
        drafts = resolution.within("speculation")
        speculation = speculate(spec.speculation, model, parallel, precision, drafts)
    dispatched = _sends_tokens(spec.engine, parallel, cluster)
    deployment = Deployment(
        model=model,
        cluster=cluster,
        precision=precision,
        parallel=parallel,
        replicas=spec.replicas,
        engine=_limits(spec.engine, model.context),
        host=_host_costs(spec.engine, 1 if speculation is None else speculation.queries, resolution),
        reserve=resolution.take("engine.reserve", spec.engine.reserve),
        startup=_startup(spec.engine, resolution),
        routing=_routing(spec, model, resolution),
        eplb=_balancing(spec),
        speculation=speculation,
        overlap=spec.overlap,
        kernels=running_kernels(
            spec.engine.stack,
            spec.engine.backends,
            spec.engine.maturity,
            model,
            precision,
            cluster.chip.kernels.name,
            resolution.within("engine"),
            dispatched=dispatched,
        ),
        kv_offload=_offload(spec, cluster, resolution),
        sends_tokens=dispatched,
    )
    _check_overlap(deployment)
    _check_context_parallel(deployment)
    _check_ffn(deployment)
    return deployment


def _parallel(spec: ParallelSpec) -> Parallel:
    ffn = None if spec.ffn is None else FfnChips(**spec.ffn.model_dump())
    return Parallel(**spec.model_dump(exclude={"ffn"}), ffn=ffn)


def _sends_tokens(engine: EngineSpec, parallel: Parallel, cluster: Cluster) -> bool:
    """Whether ranks send tokens to their experts' chips, or else gather all tokens on all chips.

    A server is the innermost domain, and at most `_SERVER` chips of it: NVLink may join many servers.
    """
    if parallel.ffn is not None:
        return True
    if parallel.dp == 1:
        return False
    if engine.all2all_backend == "auto":
        return parallel.tp * parallel.dp * parallel.pcp > min(cluster.server, _SERVER)
    return engine.all2all_backend == "all_to_all"


def _precision(spec: PrecisionSpec, model: ModelArchitecture) -> Precision:
    """With the scales that an fp8 checkpoint of such a model has where nothing is said: those of DeepSeek,
    Qwen3, Kimi and MiniMax are scaled in blocks, those of dense models by tensor or channel."""
    mixture = any(isinstance(layer.ffn, MoeFfn) for layer in model.layers)
    released = "block" if mixture or model.released_dtype == "fp8" else "tensor"
    types = spec.model_dump()
    return Precision(**{**types, "fp8_scales": types["fp8_scales"] or released})


def _check_chips(parallel: Parallel, replicas: int, cluster: Cluster) -> None:
    needed = parallel.chips * replicas
    if needed <= cluster.chips:
        return
    if parallel.chips > cluster.chips:
        raise UserError(
            f"deployment.parallel: {described(parallel)}, but cluster {cluster.name} has {cluster.chips}"
        )
    raise UserError(
        f"deployment.replicas: {replicas} replicas of {parallel.chips} chips take {needed} but cluster "
        f"{cluster.name} has {cluster.chips}; at most {cluster.chips // parallel.chips} fit"
    )


def _check_overlap(deployment: Deployment) -> None:
    """What others run beside is the exchange of tokens between expert ranks; without it nothing overlaps."""
    if deployment.overlap != "none" and (deployment.parallel.dp == 1 or deployment.lockstep_ranks == 1):
        raise UserError(
            f"deployment.overlap: {deployment.overlap} hides the exchange of tokens between expert ranks, of "
            f"which {deployment.model.name} has none in this layout; give none, or experts with dp > 1"
        )


def _check_context_parallel(deployment: Deployment) -> None:
    """MLA's keys and values of full heads lie apart on tensor-parallel ranks: there is nothing to divide."""
    if deployment.parallel.cp > 1 and deployment.engine.expand_mla:
        raise UserError(
            "deployment.engine.expand_mla: true caches the heads of each rank, which context parallelism "
            "(deployment.parallel.pcp, dcp) does not divide; give false, or 1 for both"
        )


def _check_ffn(deployment: Deployment) -> None:
    """What the pipeline of attention and feed-forward chips is not simulated with."""
    if deployment.parallel.ffn is None:
        return
    beside = [("speculation", deployment.speculation is not None), ("overlap", deployment.overlap != "none")]
    for field, stated in beside:
        if stated:
            raise UserError(
                f"deployment.{field}: not with feed-forward blocks on chips of their own, whose "
                "micro-batches overlap already (deployment.parallel.ffn); leave one of them out"
            )


def _routing(spec: DeploymentSpec, model: ModelArchitecture, resolution: Resolution) -> ExpertRouting:
    """Only figures that something rests on are taken: none of a dense model's, nor of balanced routing, and
    the drift where replicas are placed by load."""
    routing = spec.routing
    if routing.popularity == "balanced" or not any(isinstance(layer.ffn, MoeFfn) for layer in model.layers):
        return ExpertRouting(routing.popularity)
    return ExpertRouting(
        routing.popularity,
        resolution.take("routing.skew", routing.skew),
        resolution.take("routing.layer_spread", routing.layer_spread),
        1.0 if spec.eplb is None else resolution.take("routing.drift", routing.drift),
    )


def _balancing(spec: DeploymentSpec) -> ExpertBalancing | None:
    if spec.eplb is None:
        return None
    return ExpertBalancing(spec.eplb.num_redundant_experts, spec.eplb.window_size, spec.eplb.step_interval)


def _offload(spec: DeploymentSpec, cluster: Cluster, resolution: Resolution) -> KvOffload | None:
    if spec.kv_offload is None:
        return None
    engine, link = spec.engine, cluster.host_bandwidth
    within = resolution.within("kv_offload")
    return kv_offload(spec.kv_offload, link, engine.scheduler, engine.enable_prefix_caching, within)


def _limits(engine: EngineSpec, context: int) -> EngineLimits:
    return EngineLimits(
        family=engine.family,
        version=engine.version,
        scheduler=engine.scheduler,
        max_num_seqs=engine.max_num_seqs,
        max_num_batched_tokens=engine.max_num_batched_tokens,
        max_model_len=context if engine.max_model_len is None else engine.max_model_len,
        block_size=engine.block_size,
        gpu_memory_utilization=engine.gpu_memory_utilization,
        memory_share_of=engine.memory_share_of,
        api_servers=engine.api_servers,
        max_prefills_per_step=engine.max_prefills_per_step,
        enable_prefix_caching=engine.enable_prefix_caching,
        enable_chunked_prefill=engine.enable_chunked_prefill,
        async_scheduling=engine.async_scheduling,
        scheduler_recv_interval=engine.scheduler_recv_interval,
        batch_wait_timeout_iters=engine.batch_wait_timeout_iters,
        batch_wait_max_tokens_ratio=engine.batch_wait_max_tokens_ratio,
        policy=engine.policy,
        watermark=engine.watermark,
        scheduler_reserve_full_isl=engine.scheduler_reserve_full_isl,
        long_prefill_token_threshold=engine.long_prefill_token_threshold,
        disable_hybrid_kv_cache_manager=engine.disable_hybrid_kv_cache_manager,
        expand_mla=engine.expand_mla,
        stack=engine.stack,
    )


def _host_costs(engine: EngineSpec, queries: int, resolution: Resolution) -> HostCosts:
    name = "overlapped" if engine.async_scheduling else "exposed"
    costs = engine.host.overlapped if engine.async_scheduling else engine.host.exposed
    return HostCosts(
        fixed=resolution.take(f"engine.host.{name}.fixed", costs.fixed),
        per_sequence=resolution.take(f"engine.host.{name}.per_sequence", costs.per_sequence),
        graph_sizes=_decode_sizes(engine, queries),
        launch=resolution.take("engine.host.launch", engine.host.launch),
        prefill_sizes=_prefill_sizes(engine),
        piecewise=engine.piecewise_graphs,
        front_end=_front_end(engine.host.front_end, resolution),
    )


def _front_end(spec: FrontEndSpec, resolution: Resolution) -> FrontEndCosts:
    def take(name: str, figure: Figure) -> float:
        return resolution.take(f"engine.host.front_end.{name}", figure)

    return FrontEndCosts(
        latency=take("latency", spec.latency),
        request=take("request", spec.request),
        prompt_token=take("prompt_token", spec.prompt_token),
        stream=take("stream", spec.stream),
    )


def _decode_sizes(engine: EngineSpec, queries: int) -> tuple[int, ...]:
    """In tokens: a decode that verifies drafts has `queries` of them, and sizes are whole decodes."""
    if engine.compiled is None:
        most = min(2 * queries * engine.max_num_seqs, engine.max_num_batched_tokens)
        sizes = graph_sizes(min(engine.max_cudagraph_capture_size, most))
        return tuple(dict.fromkeys(queries * -(-size // queries) for size in sizes))
    return engine.compiled.decode_batches or (engine.max_num_seqs,)


def _prefill_sizes(engine: EngineSpec) -> tuple[int, ...]:
    if engine.compiled is None:
        return ()
    return engine.compiled.prefill_tokens or (engine.max_num_batched_tokens,)


def _startup(engine: EngineSpec, resolution: Resolution) -> Startup | None:
    compiled = engine.compiled
    if compiled is None:
        return None
    return Startup(
        compile=resolution.take("engine.compiled.compile", compiled.compile),
        load=resolution.take("engine.compiled.load", compiled.load),
    )


def _as_compiled(compiled: CompiledSpec | None, precision: Precision, cluster: Cluster) -> Cluster:
    """The cluster as the engine uses it.

    Raises:
        UserError: a type that the engine compiles no model for.
    """
    if compiled is None:
        return cluster
    kinds: tuple[Kind, ...] = ("attention", "dense_ffn", "experts", "shared_experts")
    stored = {"weights": precision.weights} | {kind: precision.stored(kind) for kind in kinds}
    checked = [*((name, kind, compiled.weights) for name, kind in stored.items())]
    for name, kind, known in [*checked, ("kv_cache", precision.kv_cache, compiled.kv_cache)]:
        if kind not in known:
            raise UserError(
                f"deployment.precision.{name}: the engine compiles no {kind} model "
                f"(it knows: {', '.join(known)})"
            )
    if compiled.collectives == "device":
        return cluster
    return replace(cluster, tiers=tuple(replace(tier, through_host=True) for tier in cluster.tiers))


def graph_sizes(most: int) -> tuple[int, ...]:
    """Batch sizes graphs are captured for: 1, 2, 4, then every 8 below 256 and every 16 up to `most`.

    Source: vLLM's default `cudagraph_capture_sizes` (config/vllm.py), largest
    min(2·(1 + drafts)·max_num_seqs, max_num_batched_tokens, 512).
    """
    sizes = [1, 2, 4, *range(8, 256, 8), *range(256, most + 1, 16)]
    return tuple(size for size in sizes if size <= most)


def _with_model_len(deployment: Deployment, memory: MemoryMap, stated: int | None) -> Deployment:
    engine = deployment.engine
    holds = memory.longest_sequence
    if stated is None:
        longest = min(engine.max_model_len, holds)
        if not engine.enable_chunked_prefill and engine.scheduler != NEVER_RECOMPUTES:
            longest = min(longest, engine.max_num_batched_tokens)
        return replace(deployment, engine=replace(engine, max_model_len=longest))
    if stated > holds:
        raise UserError(
            f"deployment.engine.max_model_len: {stated} tokens, but the KV cache beside "
            f"{deployment.model.name} on {deployment.cluster.name} holds a sequence of {holds}; "
            f"give at most that or none; {remedy(deployment, stated)}"
        )
    if stated > deployment.model.context:
        raise UserError(
            f"deployment.engine.max_model_len: {stated} tokens exceed the context of "
            f"{deployment.model.name}, {deployment.model.context}"
        )
    return deployment

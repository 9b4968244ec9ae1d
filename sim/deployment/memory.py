"""The memory map: what lies on a chip of each pipeline stage, and how many KV blocks remain.

    usable  = visible · gpu_memory_utilization, or of what the rest leaves: needed + (visible - needed) · it
    free    = usable - weights - activations - reserve
    block   = block_size · bytes per token of the layers that keep every token
    blocks  = floor(free / block), the least over the stages
    Where feed-forward blocks have chips of their own these are a stage more, without KV cache.
    A drafter's weights and KV cache lie on the last stage; it uses the blocks of the sequences it drafts for.
    KV tokens of a replica = dp · blocks · block_size · pcp · dcp

Context parallel ranks share each sequence token by token, so that a block of the scheduler stands for
block_size tokens on each of them (vLLM's `single_type_kv_cache_manager.py`).

One pool serves every kind of layer, as in vLLM's hybrid cache. Beside the blocks that grow with its
tokens a running sequence holds `sequence_blocks` for what does not grow: window layers (window plus
one block of tokens, the most they ever keep) and recurrent states. Charging a window in full from
the first token overstates short sequences, never understates. Where no layer keeps every token
the largest window takes that part.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from sim.deployment.activations import activation_bytes
from sim.deployment.deployment import Deployment
from sim.deployment.kv_cache import CacheGrowth, cache_growth
from sim.deployment.layout import stage_layers
from sim.deployment.weights import stage_weights
from sim.models.architecture import Layer
from sim.models.dtypes import weight_bytes_per_value
from sim.models.matrices import KINDS, Kind

FEED_FORWARD: tuple[Kind, ...] = ("dense_ffn", "experts", "shared_experts")
"""Kinds of weights that lie on chips for feed-forward blocks where those are apart."""


@dataclass(frozen=True, slots=True)
class StageMemory:
    """Bytes on each chip of one pipeline stage.

    Attributes:
        layers: how many the stage holds.
        weights: by kind, kinds it lacks left out.
        visible: what the driver reports; usable: the share of it the engine may take.
        block: of one KV block; sequence: of what a running sequence holds beside its blocks.
    """

    stage: int
    layers: int
    weights: dict[Kind, float]
    activations: float
    reserve: float
    visible: float
    usable: float
    block: float
    sequence: float

    @property
    def needed(self) -> float:
        """Bytes taken before the first token of KV cache."""
        return sum(self.weights.values()) + self.activations + self.reserve

    @property
    def holds_cache(self) -> bool:
        """Whether any KV cache lies here: not on chips for feed-forward blocks alone."""
        return self.block > 0.0 or self.sequence > 0.0

    @property
    def free(self) -> float:
        """Bytes left for the KV cache; negative where the stage does not fit."""
        return self.usable - self.needed


@dataclass(frozen=True, slots=True)
class MemoryMap:
    """The chips of a replica, stage by stage, and the KV pool of one attention-dp rank.

    Attributes:
        block_size: tokens of a block, over all ranks that share it.
        kv_blocks: blocks of the pool, per attention-dp rank; 0 where the deployment does not fit.
        sequence_blocks: blocks a running sequence holds beside those that grow with its tokens.
        kv_tokens: tokens all pools of a replica hold.
    """

    stages: tuple[StageMemory, ...]
    block_size: int
    kv_blocks: int
    sequence_blocks: int
    kv_tokens: int

    @property
    def tightest(self) -> StageMemory:
        """The stage with the least memory left over; one that holds no cache only where it does not fit."""
        short = [stage for stage in self.stages if stage.holds_cache or stage.free < 0.0]
        return min(short or self.stages, key=lambda stage: stage.free)

    @property
    def fits(self) -> bool:
        """Whether at least one sequence can run: its fixed blocks and two that grow."""
        return self.tightest.free >= 0 and self.kv_blocks >= self.sequence_blocks + 2

    @property
    def longest_sequence(self) -> int:
        """Tokens of the longest sequence the pool holds alone; one block is the engine's null block."""
        return max(0, self.kv_blocks - self.sequence_blocks - 1) * self.block_size


def memory_map(deployment: Deployment) -> MemoryMap:
    """The memory map of a deployment, whether it fits or not."""
    layers = stage_layers(deployment.model, deployment.parallel.pp)
    stages = tuple(_stages(deployment, layers))
    blocks = min(_blocks(stage, deployment) for stage in stages)
    per_sequence = max(math.ceil(stage.sequence / stage.block) if stage.block else 0 for stage in stages)
    if deployment.parallel.ffn is not None:
        stages = (*stages, _feed_forward(deployment, len(stages)))
    size = deployment.engine.block_size * deployment.parallel.cp
    return MemoryMap(stages, size, blocks, per_sequence, deployment.parallel.dp * blocks * size)


def sequence_bytes(deployment: Deployment, tokens: int) -> float:
    """Bytes of the cache of one sequence of so many tokens, over all chips of its attention-dp rank.

    What every tensor-parallel rank holds whole (MLA's latent) counts once for each of them, unless context
    parallelism divides it.
    """
    total = 0.0
    stages = stage_layers(deployment.model, deployment.parallel.pp)
    for stage, layers in enumerate(stages):
        growth = _growth(deployment, layers, stage == len(stages) - 1)
        windows = sum(min(tokens, window) * size for window, size in growth.windows)
        total += tokens * growth.per_token + windows + growth.state
    return total * deployment.parallel.tp / deployment.parallel.dcp


def _growth(deployment: Deployment, layers: tuple[Layer, ...], last: bool) -> CacheGrowth:
    """Of one chip of a stage; the last holds the drafter's cache too."""
    drafter = deployment.speculation if last else None
    drafting = () if drafter is None else drafter.drafter.layers * drafter.modules
    precision, parallel = deployment.precision, deployment.parallel
    return cache_growth(
        (*layers, *drafting),
        precision.kv_cache,
        parallel.tp,
        deployment.engine.expand_mla,
        "fp8" in deployment.cluster.chip.compute.peak,
        keep_windows=not deployment.engine.disable_hybrid_kv_cache_manager,
    )


def _stages(deployment: Deployment, layers: tuple[tuple[Layer, ...], ...]) -> Iterator[StageMemory]:
    """Stage by stage; stages of the same layers between the first and the last are alike."""
    alike: dict[tuple[int, ...], StageMemory] = {}
    last = len(layers) - 1
    for stage, held in enumerate(layers):
        if stage in (0, last):
            yield _stage(deployment, stage, len(layers), held)
            continue
        key = tuple(map(id, held))
        if key not in alike:
            alike[key] = _stage(deployment, stage, len(layers), held)
        yield replace(alike[key], stage=stage)


def _stage(deployment: Deployment, stage: int, of: int, layers: tuple[Layer, ...]) -> StageMemory:
    model, parallel, engine = deployment.model, deployment.parallel, deployment.engine
    first, last = stage == 0, stage == of - 1
    growth = _growth(deployment, layers, last)
    block, sequence = _block_and_sequence(growth, engine.block_size)
    visible = deployment.cluster.chip.memory.visible
    sequences = engine.max_num_seqs * deployment.queries
    held = StageMemory(
        stage=stage,
        layers=len(layers),
        weights=_weights(deployment, layers, first, last),
        activations=activation_bytes(model, layers, last, parallel, engine.max_num_batched_tokens, sequences),
        reserve=deployment.reserve,
        visible=visible,
        usable=visible,
        block=block,
        sequence=sequence,
    )
    share = engine.gpu_memory_utilization
    left = share * held.free if engine.memory_share_of == "free" else share * visible - held.needed
    return replace(held, usable=held.needed + left)


def _feed_forward(deployment: Deployment, stage: int) -> StageMemory:
    """A chip that holds feed-forward blocks alone, for the tokens of all attention ranks."""
    model, engine, side = deployment.model, deployment.engine, deployment.parallel.feed_forward
    weights = stage_weights(
        model, model.layers, False, False, side, deployment.precision, deployment.redundant_experts
    )
    tokens = -(-deployment.parallel.dp * engine.max_num_batched_tokens // side.dp)
    visible = deployment.cluster.chip.memory.visible
    return StageMemory(
        stage=stage,
        layers=len(model.layers),
        weights={kind: size for kind, size in weights.items() if kind in FEED_FORWARD},
        activations=activation_bytes(model, model.layers, False, side, tokens, 0),
        reserve=deployment.reserve,
        visible=visible,
        usable=visible * engine.gpu_memory_utilization,
        block=0.0,
        sequence=0.0,
    )


def _weights(deployment: Deployment, layers: tuple[Layer, ...], first: bool, last: bool) -> dict[Kind, float]:
    """Of one chip of the stage; the last stage holds the drafter too."""
    parallel, precision = deployment.parallel, deployment.precision
    redundant = deployment.redundant_experts
    weights = stage_weights(deployment.model, layers, first, last, parallel, precision, redundant)
    if parallel.ffn is not None:
        return {kind: size for kind, size in weights.items() if kind not in FEED_FORWARD}
    speculation, drafting = deployment.speculation, deployment.drafting
    if not last or speculation is None or drafting is None:
        return weights
    drafter, own = speculation.drafter, not speculation.shares_weights
    held = drafter.layers * speculation.modules
    small = replace(drafter, final_norm=own)
    extra = stage_weights(small, held, own, own, drafting.parallel, precision, redundant)
    if speculation.shares_weights:
        projection = 2 * drafter.hidden**2 + 3 * drafter.hidden
        extra["head"] = speculation.modules * projection * weight_bytes_per_value(precision.head)
    return {kind: weights.get(kind, 0.0) + extra.get(kind, 0.0) for kind in KINDS if kind in weights | extra}


def _block_and_sequence(growth: CacheGrowth, block_size: int) -> tuple[float, float]:
    """Bytes of a block, and bytes a running sequence holds beside its blocks."""
    per_token, windows = growth.per_token, growth.windows
    if not per_token and windows:
        per_token, windows = windows[-1][1], windows[:-1]
    kept = sum((window + block_size) * size for window, size in windows)
    return block_size * per_token, kept + growth.state


def _blocks(stage: StageMemory, deployment: Deployment) -> int:
    free = max(0.0, stage.free)
    if stage.block:
        return math.floor(free / stage.block)
    # A stage of recurrent layers alone: its memory bounds sequences, not tokens.
    engine = deployment.engine
    sequences = engine.max_num_seqs
    if stage.sequence:
        sequences = min(sequences, math.floor(free / stage.sequence))
    return sequences * math.ceil(engine.max_model_len / engine.block_size) + 1

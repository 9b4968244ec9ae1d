"""What a fleet consists of: replicas of one kind, and the engines that they run."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from sim.deployment.deployment import Deployment, FrontEndCosts
from sim.deployment.memory import MemoryMap
from sim.serving.batch import SchedulerConfig, SchedulerRules
from sim.serving.book import RequestBook
from sim.serving.engine import Engine, Tape
from sim.serving.front_end import FrontEnd
from sim.serving.lockstep import LockstepRanks
from sim.serving.operation.plan import Operation
from sim.serving.routers import RouterName
from sim.serving.scheduler import Scheduler
from sim.serving.schedulers import make_scheduler
from sim.serving.tiers.build import Pools, attach_tiers, tiers_config
from sim.timing.surface_protocol import Surface


@dataclass(frozen=True, slots=True)
class FleetConfig:
    """Replicas of one kind: `ranks` attention-dp ranks each step in lockstep, `chips` chips a replica; `seed`
    is that of what serving draws (accepted drafts, routes, failures); `operation` what is done with the
    fleet while it serves, None for nothing. Each
    has `servers` in front of it that cost `front_end` a request."""

    scheduler: SchedulerConfig
    replicas: int = 1
    ranks: int = 1
    router: RouterName = "round_robin"
    chips: int = 1
    seed: int = 0
    operation: Operation | None = None
    front_end: FrontEndCosts | None = None
    servers: int = 1

    @property
    def pooled(self) -> bool:
        """Whether replicas share a store of KV blocks."""
        return self.scheduler.tiers is not None and self.scheduler.tiers.pooled

    def make_front_end(self) -> FrontEnd | None:
        """A replica's front end; None where it costs nothing."""
        costs = self.front_end
        return None if costs is None or costs == FrontEndCosts() else FrontEnd(costs, self.servers)


def fleet_config(
    deployment: Deployment,
    memory: MemoryMap,
    router: RouterName = "round_robin",
    seed: int = 0,
    operation: Operation | None = None,
) -> FleetConfig:
    """What the replicas of a deployment are.

    Args:
        memory: where the KV blocks of an attention-dp rank come from; one of them is vLLM's null block.
        seed: of what serving draws.
        operation: of the fleet.
    """
    engine, parallel, speculation = deployment.engine, deployment.parallel, deployment.speculation
    scheduler = SchedulerConfig(
        block_size=memory.block_size,
        num_blocks=memory.kv_blocks - 1,
        sequence_blocks=memory.sequence_blocks,
        max_model_len=engine.max_model_len,
        max_num_batched_tokens=engine.max_num_batched_tokens,
        max_num_scheduled_tokens=engine.max_num_batched_tokens,
        max_num_seqs=engine.max_num_seqs,
        enable_chunked_prefill=engine.enable_chunked_prefill,
        enable_prefix_caching=engine.enable_prefix_caching,
        async_scheduling=engine.async_scheduling,
        priority=engine.policy == "priority",
        watermark_blocks=int(engine.watermark * memory.kv_blocks),
        scheduler_reserve_full_isl=engine.scheduler_reserve_full_isl,
        long_prefill_token_threshold=engine.long_prefill_token_threshold,
        acceptance=() if speculation is None else speculation.acceptance,
        recompute_last_block=speculation is not None and speculation.shares_weights,
        rules=cast("SchedulerRules", engine.scheduler),
        recv_interval=engine.scheduler_recv_interval,
        max_prefills=engine.max_prefills_per_step,
        batch_wait_iters=engine.batch_wait_timeout_iters,
        batch_wait_tokens=engine.batch_wait_max_tokens_ratio * engine.max_num_batched_tokens,
        tiers=tiers_config(deployment, memory),
    )
    ranks = deployment.lockstep_ranks
    apart = parallel.dp // ranks
    return FleetConfig(
        scheduler,
        replicas=deployment.replicas * apart,
        ranks=ranks,
        router=router,
        chips=parallel.chips // apart,
        seed=seed,
        operation=operation,
        front_end=deployment.host.front_end,
        servers=ranks if engine.api_servers == "per_rank" else 1,
    )


def make_engine(
    config: FleetConfig, book: RequestBook, surface: Surface, tape: Tape, pools: Pools | None = None
) -> Engine:
    """The engine of one replica, with its ranks.

    Args:
        pools: of KV blocks that the replicas share; filled by the first of them.
    """
    ranks = [make_scheduler(config.scheduler, book, surface.windows) for _ in range(config.ranks)]
    engine = engine_of(ranks, surface, tape, config.make_front_end())
    if config.scheduler.tiers is not None:
        attach_tiers(config.scheduler.tiers, ranks, engine, {} if pools is None else pools)
    return engine


def engine_of(ranks: Sequence[Scheduler], surface: Surface, tape: Tape, front_end: FrontEnd | None) -> Engine:
    """An engine that drives these ranks."""
    unit = ranks[0] if len(ranks) == 1 else LockstepRanks([*ranks])
    depth = 2 if ranks[0].config.async_scheduling else 1
    return Engine(unit, ranks[0].book, surface, tape, depth=depth, front_end=front_end)

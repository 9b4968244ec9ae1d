"""From a deployment to the tiers of its ranks, and the tiers to an engine's schedulers.

    blocks of a rank = capacity / (attention-dp ranks · bytes of a block over the chips of a rank)
    rates of a rank  = rate of the server / attention-dp ranks;  link = link of a chip · chips of a rank

What every tensor-parallel rank holds whole (MLA's latent) is written, held and read once for each of them, as
engines do whose workers offload on their own. A pool is one for all and takes part in no division.
"""

from collections.abc import Sequence

from sim.deployment.deployment import Deployment
from sim.deployment.memory import MemoryMap
from sim.serving.engine import Engine
from sim.serving.scheduler import Scheduler
from sim.serving.tiers.config import TierConfig, TiersConfig
from sim.serving.tiers.lower_tiers import LowerTiers
from sim.serving.tiers.store import TierStore

Pools = dict[str, TierStore]
"""The stores that replicas share, by name."""


def tiers_config(deployment: Deployment, memory: MemoryMap) -> TiersConfig | None:
    """The tiers of an attention-dp rank; None without offload."""
    offload, parallel = deployment.kv_offload, deployment.parallel
    if offload is None:
        return None
    chips = parallel.chips // parallel.dp
    block = sum(stage.block for stage in memory.stages) * chips / len(memory.stages)
    tiers: list[TierConfig] = []
    for tier in offload.tiers:
        ranks = 1 if tier.shared else parallel.dp
        tiers.append(
            TierConfig(
                name=tier.name,
                blocks=int(tier.capacity / ranks / block),
                read=tier.read / ranks,
                write=tier.write / ranks,
                link=tier.link * chips,
                latency=tier.latency,
                write_back=tier.policy == "write_back",
                shared=tier.shared,
            )
        )
    return TiersConfig(tuple(tiers), block, layerwise=offload.load == "layerwise")


def attach_tiers(config: TiersConfig, ranks: Sequence[Scheduler], engine: Engine, pools: Pools) -> None:
    """Gives each rank its tiers; those that are shared are looked for in `pools`, and put there."""
    for rank in ranks:
        stores: list[TierStore] = []
        for tier in config.tiers:
            if tier.shared:
                stores.append(pools.setdefault(tier.name, TierStore(tier, rank.size)))
            else:
                stores.append(TierStore(tier, rank.size))
        rank.tiers = LowerTiers(config, stores, engine)
        rank.cache.on_evict = rank.tiers.evicted

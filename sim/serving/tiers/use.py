"""What the tiers of a run's engines came to."""

from collections.abc import Sequence

from sim.serving.engine import Engine
from sim.serving.lockstep import ranks_of
from sim.serving.records import TierUse
from sim.serving.tiers.config import TiersConfig
from sim.serving.tiers.store import TierStore


def stores_of(engines: Sequence[Engine]) -> list[TierStore]:
    """Every store once."""
    stores: dict[int, TierStore] = {}
    for engine in engines:
        for rank in ranks_of(engine.scheduler):
            if rank.tiers is not None:
                stores |= {id(store): store for store in rank.tiers.stores}
    return [*stores.values()]


def tier_uses(config: TiersConfig | None, block_size: int, engines: Sequence[Engine]) -> tuple[TierUse, ...]:
    """By tier, over all engines."""
    if config is None:
        return ()
    stores, end = stores_of(engines), max(engine.now for engine in engines)
    uses: list[TierUse] = []
    for tier in config.tiers:
        own = [store for store in stores if store.config is tier]
        for store in own:
            store.arrive(end)
        uses.append(
            TierUse(
                name=tier.name,
                capacity=sum(store.cache.size for store in own) * block_size,
                held=sum(store.held for store in own) * block_size,
                loaded=sum(store.loaded for store in own) * block_size,
                written=sum(store.written for store in own) * block_size,
                dropped=sum(store.dropped for store in own) * block_size,
                token_bytes=config.block_bytes / block_size,
            )
        )
    return tuple(uses)


def said_of(uses: Sequence[TierUse]) -> tuple[str, ...]:
    """A sentence on each tier."""
    return tuple(
        f"KV tier {use.name}: {use.loaded:,} prompt tokens loaded ({use.loaded * use.token_bytes / 1e9:,.1f} "
        f"GB), {use.written:,} written ({use.written * use.token_bytes / 1e9:,.1f} GB), {use.dropped:,} "
        f"dropped; it holds {use.held:,} of at most {use.capacity:,}."
        for use in uses
    )

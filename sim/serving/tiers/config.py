"""What the stores below one scheduler's KV cache are, in blocks."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TierConfig:
    """One store, of one attention-dp rank or (`shared`) of all.

    Attributes:
        blocks: it holds at most so many.
        read, write: B/s that it gives; link: B/s between it and the rank's chips, per direction.
        latency: s before the bytes of a transfer flow.
        write_back: it gets blocks when the tier above lets go of them, not when they are full.
        shared: one store for all replicas, over a network link; the others share the rank's host link.
    """

    name: str
    blocks: int
    read: float
    write: float
    link: float
    latency: float = 0.0
    write_back: bool = False
    shared: bool = False


@dataclass(frozen=True, slots=True)
class TiersConfig:
    """The stores, fastest first. `block_bytes` are those of a block over all chips of a rank; `layerwise`
    loads while a prompt is computed instead of before."""

    tiers: tuple[TierConfig, ...]
    block_bytes: float
    layerwise: bool = False

    @property
    def pooled(self) -> bool:
        """Whether replicas meet in a store."""
        return any(tier.shared for tier in self.tiers)

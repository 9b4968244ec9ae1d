"""Stores below the KV cache of a deployment's chips, as numbers."""

from dataclasses import dataclass
from typing import Literal

LoadPolicy = Literal["before", "layerwise"]
WritePolicy = Literal["write_through", "write_back"]


@dataclass(frozen=True, slots=True)
class KvTier:
    """One store.

    Attributes:
        name: dram, nvme or pool.
        capacity: B, of a replica's server, or of the whole pool.
        read, write: B/s that the store gives, likewise.
        latency: s before the bytes of a transfer flow.
        link: B/s per chip and direction, between chips and store.
        policy: blocks are written when they are full, or when the tier above lets go of them.
        shared: one store for all replicas.
    """

    name: str
    capacity: float
    read: float
    write: float
    latency: float
    link: float
    policy: WritePolicy
    shared: bool


@dataclass(frozen=True, slots=True)
class KvOffload:
    """The stores, fastest first, and when what they hold is loaded: before a prompt's first step, or layer
    by layer while it is computed. Tiers whose transfers cross the same link of a chip share it."""

    tiers: tuple[KvTier, ...]
    load: LoadPolicy

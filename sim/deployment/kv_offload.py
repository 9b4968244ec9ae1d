"""KV offload of a deployment: host memory, drives and a pool in the network below the chips' KV cache.

    dram   memory of the server, over the chips' host links
    nvme   drives of the server, through its memory and the same links
    pool   a store that all replicas share, over a network link per chip

What each does is in docs/kv-offload.md; sim.serving.tiers has the behaviour.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Self, cast

from pydantic import AfterValidator, BaseModel, Field, model_validator

from sim.deployment.kv_tiers import KvOffload, KvTier, LoadPolicy, WritePolicy
from sim.documents import WRITTEN
from sim.errors import UserError
from sim.figures import (
    BandwidthFigure,
    BytesFigure,
    Figure,
    NumberFigure,
    Resolution,
    TimeFigure,
    dump_figure,
)
from sim.units import BANDWIDTH, NUMBER, TIME

LINK_SHARE = Figure(
    0.8,
    NUMBER,
    0.5,
    0.9,
    "assumption",
    "pinned copies over PCIe 5.0 x16 reach 50 to 57 of 64 GB/s; blocks of a layer each, far less",
)
DRAM_RATE = Figure(
    400e9,
    BANDWIDTH,
    200e9,
    700e9,
    "assumption",
    "two sockets of 8 to 12 channels of DDR5 have 500 to 1,000 GB/s; copies get part of it",
)
DRAM_LATENCY = Figure(20e-6, TIME, 5e-6, 200e-6, "assumption", "start of a batch of copies")
NVME_READ = Figure(
    25e9, BANDWIDTH, 6e9, 50e9, "assumption", "four PCIe 5.0 drives of 10 to 14 GB/s, at half their sheets"
)
NVME_WRITE = Figure(
    12e9, BANDWIDTH, 3e9, 25e9, "assumption", "drives sustain about half of what they read when written"
)
NVME_LATENCY = Figure(200e-6, TIME, 80e-6, 1e-3, "assumption", "one read of a drive and its file layer")
POOL_RATE = Figure(
    200e9, BANDWIDTH, 40e9, 1000e9, "assumption", "a few storage servers of one 400 Gb/s NIC or more each"
)
POOL_LATENCY = Figure(1e-3, TIME, 0.2e-3, 10e-3, "assumption", "look-up in a store over the network")
POOL_LINK = Figure(
    45e9, BANDWIDTH, 20e9, 90e9, "assumption", "one 400 Gb/s NIC per chip at 0.9, as between pools"
)


def _a_share(figure: Figure) -> Figure:
    if not 0.0 < figure.value <= 1.0 or (figure.high or 0.0) > 1.0:
        raise ValueError(f"{figure.text()} must be above 0 and at most 1, the whole link")
    return replace(figure, bounds=(0.0, 1.0))


class DramSpec(BaseModel):
    """Memory of the replica's server."""

    model_config = WRITTEN

    capacity: BytesFigure = Field(description="for KV blocks, of a replica")
    read: BandwidthFigure = Field(default=DRAM_RATE, description="to the chips, of a replica's server")
    write: BandwidthFigure = Field(default=DRAM_RATE, description="from the chips, of a replica's server")
    latency: TimeFigure = Field(default=DRAM_LATENCY, description="before the bytes of a transfer flow")
    policy: WritePolicy = Field(
        default="write_through",
        description="blocks are written when they are full (`write_through`), or when the chips overwrite "
        "them (`write_back`)",
    )


class NvmeSpec(BaseModel):
    """Drives of the replica's server."""

    model_config = WRITTEN

    capacity: BytesFigure = Field(description="for KV blocks, of a replica")
    read: BandwidthFigure = Field(default=NVME_READ, description="of all drives of a replica's server")
    write: BandwidthFigure = Field(default=NVME_WRITE, description="of all drives of a replica's server")
    latency: TimeFigure = Field(default=NVME_LATENCY, description="before the bytes of a transfer flow")
    policy: WritePolicy = Field(
        default="write_back", description="as `dram.policy`; written back is what the tier above lets go of"
    )


class PoolSpec(BaseModel):
    """A store in the network that all replicas share."""

    model_config = WRITTEN

    capacity: BytesFigure = Field(description="for KV blocks, of all replicas")
    read: BandwidthFigure = Field(default=POOL_RATE, description="of the whole pool")
    write: BandwidthFigure = Field(default=POOL_RATE, description="of the whole pool")
    latency: TimeFigure = Field(default=POOL_LATENCY, description="before the bytes of a transfer flow")
    link: BandwidthFigure = Field(default=POOL_LINK, description="per chip and direction, to the pool")
    policy: WritePolicy = Field(default="write_through", description="as `nvme.policy`")


class KvOffloadSpec(BaseModel):
    """Stores below the chips' KV cache; at least one."""

    model_config = WRITTEN

    load: LoadPolicy = Field(
        default="before",
        description="`before`: a prompt starts when what is held of it has been loaded (vLLM's connectors; "
        "scheduler vllm); `layerwise`: it starts at once, and a layer waits for its cache (SGLang's HiCache)",
    )
    link_share: Annotated[NumberFigure, AfterValidator(_a_share)] = Field(
        default=LINK_SHARE, description="share of the chip's host link that copies reach, per direction"
    )
    dram: DramSpec | None = Field(default=None, description="memory of the server; null: none")
    nvme: NvmeSpec | None = Field(default=None, description="drives of the server; null: none")
    pool: PoolSpec | None = Field(default=None, description="a store for all replicas; null: none")

    @model_validator(mode="after")
    def _has_a_store(self) -> Self:
        if self.dram is None and self.nvme is None and self.pool is None:
            raise ValueError("no store is given; give dram, nvme or pool")
        return self


_SPECS: Mapping[str, type[DramSpec] | type[NvmeSpec] | type[PoolSpec]] = {
    "dram": DramSpec,
    "nvme": NvmeSpec,
    "pool": PoolSpec,
}


def read_kv_offload(raw: object) -> object:
    """The raw `kv_offload:` tree with every default present, so that overrides can address it."""
    if not isinstance(raw, Mapping):
        return raw
    tree: dict[str, object] = {"load": "before", "link_share": dump_figure(LINK_SHARE)}
    tree |= dict(cast("Mapping[str, object]", raw))
    for name, spec in _SPECS.items():
        if isinstance(store := tree.get(name), Mapping):
            defaults = {
                field: dump_figure(info.default) if isinstance(info.default, Figure) else info.default
                for field, info in spec.model_fields.items()
                if not info.is_required()
            }
            tree[name] = defaults | dict(cast("Mapping[str, object]", store))
    return tree


def kv_offload(
    spec: KvOffloadSpec, host_link: float, scheduler: str, caching: bool, resolution: Resolution
) -> KvOffload:
    """The stores as numbers.

    Args:
        host_link: B/s of a chip to its server, per direction.
        scheduler: whose rules decide; caching: whether the engine keeps prefixes at all.
        resolution: its prefix is the spec's place.
    Raises:
        UserError: without prefix caching, or for a way of loading that the scheduler does not have.
    """
    if not caching:
        raise UserError(
            "deployment.kv_offload: what is offloaded is found again through the prefix cache; give "
            "engine.enable_prefix_caching true"
        )
    if spec.load == "before" and scheduler != "vllm":
        raise UserError(
            f"deployment.kv_offload.load: before is what scheduler vllm does, not {scheduler}; give layerwise"
        )
    link = host_link * resolution.take("link_share", spec.link_share)
    stores = (("dram", spec.dram), ("nvme", spec.nvme), ("pool", spec.pool))
    tiers = tuple(_tier(name, store, link, resolution.within(name)) for name, store in stores if store)
    return KvOffload(tiers, spec.load)


def _tier(
    name: str, spec: DramSpec | NvmeSpec | PoolSpec, host_link: float, resolution: Resolution
) -> KvTier:
    pooled = isinstance(spec, PoolSpec)
    return KvTier(
        name=name,
        capacity=resolution.take("capacity", spec.capacity),
        read=resolution.take("read", spec.read),
        write=resolution.take("write", spec.write),
        latency=resolution.take("latency", spec.latency),
        link=resolution.take("link", spec.link) if pooled else host_link,
        policy=spec.policy,
        shared=pooled,
    )

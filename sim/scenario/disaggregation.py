"""A scenario in two pools: prompts on the chips of `prefill`, answers on the scenario's own cluster."""

from collections.abc import Mapping
from typing import Annotated, cast

from pydantic import BaseModel, Field

from sim.deployment import Deployment, DeploymentSpec, sequence_bytes
from sim.documents import WRITTEN
from sim.errors import UserError
from sim.figures import BandwidthFigure, Figure, Resolution, TimeFigure, dump_figure
from sim.hardware import ClusterProfile
from sim.metrics import PoolUse, RequestTime, TimeBreakdown, disaggregated_request_time, merged
from sim.scenario.pricing import Priced, pool_use, sampled
from sim.serving import fleet_config
from sim.serving.disaggregated import Pool, PoolResults, serve_disaggregated
from sim.serving.kv_transfer import KvTransfer
from sim.serving.routers import RouterName
from sim.units import BANDWIDTH, TIME
from sim.workload.requests import Requests

LINK = Figure(
    45e9,
    BANDWIDTH,
    20e9,
    90e9,
    "assumption",
    "one 400 Gb/s NIC per chip at 0.9; Mooncake's transfer engine reaches 87 of 100 GB/s over 4 x 200 Gb/s "
    "and 190 of 400 GB/s over 8 x 400 Gb/s",
)
OVERHEAD = Figure(
    2e-3, TIME, 0.5e-3, 10e-3, "assumption", "proxy hop and handshake of a request; nothing is published"
)


class PrefillPoolSpec(BaseModel):
    """The pool that computes prompts; the model is the scenario's."""

    model_config = WRITTEN

    cluster: Annotated[ClusterProfile, Field(description="Catalogue name, a path or the cluster itself.")]
    deployment: DeploymentSpec = Field(
        default_factory=DeploymentSpec, description="how the model is cut up there, and the engine's limits"
    )
    router: RouterName = Field(default="least_outstanding", description="which of its replicas gets a prompt")


class TransferSpec(BaseModel):
    """How KV caches get from prefill to decode engines."""

    model_config = WRITTEN

    bandwidth: BandwidthFigure = Field(
        default=LINK, description="per chip and direction, out of prefill and into decode engines"
    )
    overhead: TimeFigure = Field(default=OVERHEAD, description="per request, before its bytes flow")
    layerwise: Annotated[bool, Field(strict=True)] = Field(
        default=False, description="send layers while the prompt is computed, into blocks allocated before it"
    )
    local_prompt_tokens: Annotated[int, Field(ge=0, strict=True)] = Field(
        default=0, description="prompts up to this length are computed by the decode engine itself"
    )


def read_transfer(raw: object) -> object:
    """The raw `transfer:` tree with every field present, so that overrides can address it."""
    if not isinstance(raw, Mapping):
        return raw
    defaults: dict[str, object] = {
        "bandwidth": dump_figure(LINK),
        "overhead": dump_figure(OVERHEAD),
        "layerwise": False,
        "local_prompt_tokens": 0,
    }
    return defaults | dict(cast("Mapping[str, object]", raw))


def check_pools(prefill: Deployment, decode: Deployment) -> None:
    """Refuses a prefill pool whose caches do not fit the decode pool.

    Raises:
        UserError: for KV caches of different types.
    """
    given, needed = prefill.precision.kv_cache, decode.precision.kv_cache
    if given != needed:
        raise UserError(
            f"deployment.precision.kv_cache: {given} caches cannot be moved into the decode pool's "
            f"{needed} ones; give {needed}"
        )


def resolve_transfer(spec: TransferSpec, decode: Deployment, resolution: Resolution) -> KvTransfer:
    """The transfer's figures as numbers, with the bytes of this deployment's caches."""
    return KvTransfer(
        bandwidth=resolution.take("bandwidth", spec.bandwidth),
        overhead=resolution.take("overhead", spec.overhead),
        size=lambda tokens: sequence_bytes(decode, tokens),
        layers=len(decode.model.layers),
        layerwise=spec.layerwise,
        local_tokens=spec.local_prompt_tokens,
    )


def serve_pools(
    decode: Priced, prefill: Priced, transfer: KvTransfer, requests: Requests, seed: int
) -> PoolResults:
    """The requests through both pools."""
    return serve_disaggregated(requests, _pool(prefill, seed), _pool(decode, seed), transfer)


def pool_uses(
    pools: PoolResults, decode: Priced, prefill: Priced
) -> tuple[tuple[PoolUse, ...], TimeBreakdown, RequestTime]:
    """What each pool's chips did, their time together by cause, and the requests' time."""
    steps = sampled(pools.decode, decode), sampled(pools.prefill, prefill)
    uses = pool_use(pools.decode, decode, steps[0]), pool_use(pools.prefill, prefill, steps[1])
    parts = [(use.result, use.breakdown) for use in uses if use.breakdown is not None]
    return uses, merged(parts), disaggregated_request_time(pools, *steps)


def _pool(priced: Priced, seed: int) -> Pool:
    parallel = priced.deployment.parallel
    config = fleet_config(priced.deployment, priced.memory, priced.router, seed)
    return Pool(config, priced.surface, parallel.chips // parallel.dp)

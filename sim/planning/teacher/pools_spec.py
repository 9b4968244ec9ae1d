"""Models that share a cluster, each in a pool of its own, as a user writes them."""

from pathlib import Path
from typing import Annotated, Self, cast

from pydantic import BaseModel, Field, model_validator

from sim import documents
from sim.documents import WRITTEN
from sim.errors import nearest
from sim.metrics import SloSpec
from sim.planning.money import Money, Rental
from sim.serving.routers import RouterName
from sim.units import Seconds

Size = Annotated[int, Field(ge=1, strict=True)]


class SpillSpec(BaseModel):
    """Where requests go that a pool has no place for."""

    model_config = WRITTEN

    to: str = Field(description="name of the pool that takes them: one model")
    outstanding: Size = Field(description="requests in the pool per replica, beyond which others go there")


class PoolSpec(BaseModel):
    """Replicas of one model, and what is asked of them; or `models` such pools that are alike."""

    model_config = WRITTEN

    name: Annotated[str, Field(min_length=1, description="as it stands in results")]
    models: Size = Field(
        default=1, description="models of this kind, each with replicas and requests of its own"
    )
    model: str | dict[str, object] = Field(description="as in a scenario")
    deployment: dict[str, object] = Field(
        default_factory=dict[str, object], description="as in a scenario, of one replica"
    )
    replicas: Size = Field(default=1, description="of each model")
    router: RouterName = Field(default="least_outstanding", description="which of them gets a request")
    arrivals: dict[str, object] = Field(description="as in a workload, of each model; not closed")
    prompt_tokens: dict[str, object] = Field(description="as in a workload")
    output_tokens: dict[str, object] = Field(description="as in a workload")
    slo: SloSpec = Field(description="bounds of its requests, wherever they are answered")
    spill: SpillSpec | None = Field(default=None, description="null: requests wait until there is a place")


class PoolsSpec(BaseModel):
    """Serve several models on one cluster."""

    model_config = WRITTEN

    schema_version: Annotated[int, Field(alias="schema", ge=1, le=1)] = 1
    cluster: str | dict[str, object] = Field(
        description="as in a scenario: one box, or the fabric of several"
    )
    servers: Size = Field(description="boxes that the models share")
    pools: Annotated[tuple[PoolSpec, ...], Field(min_length=1)]
    window: Annotated[Seconds, Field(gt=0)] = Field(default=300.0, description="time that is simulated")
    money: Money = Field(default_factory=Rental, description="how cost is counted")
    seed: Annotated[int, Field(ge=0, strict=True)] = 0

    @model_validator(mode="after")
    def _spills_end_somewhere(self) -> Self:
        pools = {pool.name: pool for pool in self.pools}
        if len(pools) < len(self.pools):
            raise ValueError("two pools have the same name")
        for pool in self.pools:
            if pool.arrivals.get("process") == "closed":
                raise ValueError(
                    f"pool {pool.name}: arrivals of a closed loop belong to one engine; give a rate"
                )
            seen, at = {pool.name}, pool
            while at.spill is not None:
                if at.spill.to not in pools:
                    guess = nearest(at.spill.to, pools)
                    raise ValueError(f"pool {at.name}: spill.to names no pool: {at.spill.to}{guess}")
                at = pools[at.spill.to]
                if at.models > 1:
                    raise ValueError(f"pool {pool.name}: spill.to: {at.name} is {at.models} models, not one")
                if at.name in seen:
                    raise ValueError(f"pool {pool.name}: what it spills comes back to {at.name}")
                seen.add(at.name)
        return self

    @property
    def in_order(self) -> tuple[PoolSpec, ...]:
        """The pools, each before the one that it spills to."""
        pools = {pool.name: pool for pool in self.pools}

        def steps(pool: PoolSpec) -> int:
            return 0 if pool.spill is None else 1 + steps(pools[pool.spill.to])

        return tuple(sorted(self.pools, key=steps, reverse=True))


def read_pools(path: Path) -> PoolsSpec:
    """The question in a file.

    Raises:
        UserError: for a file that cannot be read or says what no such question says.
    """
    document = documents.load(path)
    return documents.validate(PoolsSpec, cast("dict[str, object]", document.tree), document=document)

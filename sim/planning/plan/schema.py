"""A capacity question as a user writes it."""

import re
from pathlib import Path
from typing import Annotated, Literal, Self, cast

from pydantic import BaseModel, Field, field_validator, model_validator

from sim import documents
from sim.deployment.schema import PrecisionSpec
from sim.documents import WRITTEN
from sim.metrics import SloSpec
from sim.planning.money import Money, Rental
from sim.planning.sweep.schema import Sets
from sim.scenario.disaggregation import TransferSpec
from sim.serving.routers import RouterName
from sim.units import Seconds

_PERCENTILE = re.compile(r"(mean|p50|p90|p95|p99)_(ttft|tpot|itl|e2el)\Z")
Drafting = list[dict[str, object] | None]
"""Ways to draft tokens, each as in a deployment with its acceptance; null: not at all."""
Pools = Literal["together", "apart", "mixed"]
Size = Annotated[int, Field(ge=1, strict=True)]
PositiveSeconds = Annotated[Seconds, Field(gt=0)]


class CandidateSpec(BaseModel):
    """One kind of cluster that may serve the traffic."""

    model_config = WRITTEN

    cluster: str = Field(description="catalogue name, or a path relative to the plan")
    name: str = Field(default="", description="what it is called in tables; left out: the cluster's name")
    set: Sets = Field(default_factory=dict[str, object], description="path → value, as of --set")
    engine: dict[str, object] = Field(
        default_factory=dict[str, object],
        description="as in a deployment; left out: the plan's, and on an NPU its vendor's family",
    )
    speculation: Drafting | None = Field(
        default=None, description="ways to draft, as under search; left out: the plan's"
    )


class SearchSpec(BaseModel):
    """What is tried, and how hard."""

    model_config = WRITTEN

    precision: Annotated[list[PrecisionSpec], Field(min_length=1)] = Field(
        default_factory=lambda: [PrecisionSpec(weights="fp8", activations="fp8")],
        description="precisions; one that a chip cannot multiply is left out there",
    )
    max_num_seqs: Annotated[list[Size], Field(min_length=1)] = Field(
        default_factory=lambda: [256], description="batch limits, per attention-dp rank"
    )
    max_num_batched_tokens: Annotated[list[Size], Field(min_length=1)] = Field(
        default_factory=lambda: [8192], description="token budgets of a step"
    )
    speculation: Drafting = Field(
        default_factory=Drafting,
        description="as in a deployment, null: no drafts; left out: the candidates' own",
    )
    pools: Annotated[list[Pools], Field(min_length=1)] = Field(
        default_factory=lambda: ["together"],
        description="`together`: prompts and answers in the same engines; `apart`: in pools of one "
        "candidate, in any ratio; `mixed`: prompts on one candidate, answers on another",
    )
    routers: list[RouterName] = Field(
        default_factory=list[RouterName],
        description="the whole fleet is simulated behind each; left out: every replica on its own, its share "
        "of the load drawn at random",
    )
    simulate: Size = Field(
        default=4, description="layouts that are simulated of each candidate and kind of pools"
    )
    requests: Size = Field(default=400, description="requests of one simulated run of one replica, at least")
    replications: Annotated[int, Field(ge=2, le=100, strict=True)] = Field(
        default=5, description="runs of the chosen fleet, each with a seed of its own"
    )
    tolerance: Annotated[float, Field(gt=0, le=0.5, strict=True)] = Field(
        default=0.03, description="relative width at which the search for the knee stops"
    )


class PlanSpec(BaseModel):
    """Serve this model for this traffic within these bounds: on what?"""

    model_config = WRITTEN

    schema_version: Annotated[int, Field(alias="schema", ge=1, le=1)] = 1
    model: str = Field(description="catalogue name, or a path relative to the plan")
    candidates: Annotated[list[CandidateSpec | str], Field(min_length=1)]
    max_chips: Size = Field(default=256, description="of one candidate's fleet")
    rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] = Field(
        description="requests/s that the fleet has to serve"
    )
    workload: dict[str, object] = Field(description="as in a scenario; its arrivals take a rate")
    slo: SloSpec | None = Field(default=None, description="as in a scenario")
    percentiles: dict[str, PositiveSeconds] = Field(
        default_factory=dict[str, float], description="bounds such as p99_ttft: 2 s, p95_tpot: 50 ms"
    )
    engine: dict[str, object] = Field(
        default_factory=dict[str, object], description="as in a deployment, for every layout"
    )
    transfer: TransferSpec = Field(
        default_factory=TransferSpec, description="as in a scenario, between pools of prompts and answers"
    )
    servers_down: Annotated[int, Field(ge=0, le=100, strict=True)] = Field(
        default=0, description="servers without which the load is still served; spare ones are bought for it"
    )
    search: SearchSpec = Field(default_factory=SearchSpec)
    money: Money = Field(default_factory=Rental, description="how cost is counted")
    budget: str = Field(
        default="",
        description="'10 MUSD', '400 USD/h', '1 MW' or '4 racks': what each candidate serves with it",
    )
    seed: Annotated[int, Field(ge=0, strict=True)] = 0

    @field_validator("percentiles")
    @classmethod
    def _known_percentiles(cls, bounds: dict[str, float]) -> dict[str, float]:
        for name in bounds:
            if not _PERCENTILE.match(name):
                raise ValueError(f"'{name}' is no percentile; write p99_ttft, p95_tpot, mean_e2el …")
        return bounds

    @model_validator(mode="after")
    def _bounds_something(self) -> Self:
        if self.slo is None and not self.percentiles:
            raise ValueError("a plan needs 'slo' or 'percentiles': without bounds one chip serves anything")
        if self.search.pools == ["mixed"] and len(self.candidates) < 2:
            raise ValueError("search.pools: mixed pools take two candidates")
        names = [candidate.name for candidate in self.clusters]
        if len({*names}) < len(names):
            raise ValueError("two candidates have the same name; give one a 'name' of its own")
        return self

    @property
    def clusters(self) -> list[CandidateSpec]:
        """The candidates, each with a name."""
        full = [CandidateSpec(cluster=c) if isinstance(c, str) else c for c in self.candidates]
        return [c if c.name else c.model_copy(update={"name": c.cluster}) for c in full]


def read_plan(path: Path) -> PlanSpec:
    """The question in a file.

    Raises:
        UserError: for a file that cannot be read or says what no plan says.
    """
    document = documents.load(path)
    return documents.validate(PlanSpec, cast("dict[str, object]", document.tree), document=document)

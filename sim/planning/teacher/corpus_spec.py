"""A corpus that a teacher is to write, as a user asks for it."""

from pathlib import Path
from typing import Annotated, Self, cast

from pydantic import BaseModel, Field, model_validator

from sim import documents
from sim.documents import WRITTEN
from sim.figures import BandwidthFigure, Figure
from sim.planning.loadless import refuse_load
from sim.planning.money import Money, Rental
from sim.units import BANDWIDTH

Size = Annotated[int, Field(ge=1, strict=True)]
Amount = Annotated[float, Field(gt=0, allow_inf_nan=False)]

STORAGE = Figure(
    20e9,
    BANDWIDTH,
    2e9,
    200e9,
    "assumption",
    "sustained writes into a parallel file system of some racks; nothing is published of such jobs",
)


class LogitsSpec(BaseModel):
    """What is kept of each answer token's distribution, for students to learn from."""

    model_config = WRITTEN

    top_k: Annotated[int, Field(ge=0, strict=True)] = Field(
        default=64, description="largest logits kept; 0: the token alone"
    )
    id_bytes: Size = Field(default=4, description="of one token's number")
    value_bytes: Size = Field(default=2, description="of one logit")

    @property
    def token_bytes(self) -> int:
        """Bytes written for one answer token: its number, and number and logit of each that is kept."""
        return self.id_bytes + self.top_k * (self.id_bytes + self.value_bytes)


class CorpusSpec(BaseModel):
    """Let a teacher write so many tokens: how long does it take, and what does it cost?"""

    model_config = WRITTEN

    schema_version: Annotated[int, Field(alias="schema", ge=1, le=1)] = 1
    scenario: dict[str, object] = Field(
        description="as a scenario without workload and slo; the deployment is that of one replica"
    )
    tokens: Amount = Field(description="answer tokens of the corpus")
    prompt_tokens: dict[str, object] = Field(description="as in a workload")
    output_tokens: dict[str, object] = Field(description="as in a workload")
    prefix: dict[str, object] | None = Field(default=None, description="as in a workload")
    replicas: Size = Field(default=1, description="replicas that write side by side")
    logits: LogitsSpec = Field(default_factory=LogitsSpec, description="what is kept of each token")
    storage: BandwidthFigure = Field(default=STORAGE, description="what all replicas together write at most")
    rounds: Annotated[int, Field(ge=3, strict=True)] = Field(
        default=4, description="answers simulated for each place in the replica's batch"
    )
    replications: Annotated[int, Field(ge=2, le=100, strict=True)] = Field(
        default=4, description="runs, with other requests each, that the interval comes from"
    )
    money: Money = Field(default_factory=Rental, description="how cost is counted")
    seed: Annotated[int, Field(ge=0, strict=True)] = 0

    @model_validator(mode="after")
    def _the_rest_is_here(self) -> Self:
        refuse_load(self.scenario, "lengths and seed")
        return self


def read_corpus(path: Path) -> CorpusSpec:
    """The question in a file.

    Raises:
        UserError: for a file that cannot be read or says what no such question says.
    """
    document = documents.load(path)
    return documents.validate(CorpusSpec, cast("dict[str, object]", document.tree), document=document)

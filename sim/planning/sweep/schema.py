"""A sweep as a user writes it."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, model_validator

from sim import documents
from sim.documents import WRITTEN
from sim.planning.sweep.axes import Axis

MOST_POINTS = 1_000_000
CASE, SEED = "case", "seed"
"""Names of the axes that `cases` and `replications` add."""


class Grid(BaseModel):
    """Every combination of the axes' values."""

    model_config = WRITTEN

    method: Literal["grid"] = "grid"


class LatinHypercube(BaseModel):
    """Random points of which each axis has one in each of `samples` equal parts of its range."""

    model_config = WRITTEN

    method: Literal["latin-hypercube"]
    samples: Annotated[int, Field(ge=1, le=MOST_POINTS, strict=True)] = Field(description="points")
    seed: Annotated[int, Field(ge=0, strict=True)] = Field(default=0, description="of the points")


Design = Annotated[Grid | LatinHypercube, Field(discriminator="method")]
Sets = dict[str, object]


class SweepSpec(BaseModel):
    """One scenario, varied: `axes` by field, `cases` by name, `replications` by seed; all are combined."""

    model_config = WRITTEN

    schema_version: Annotated[Literal[1], Field(alias="schema")] = 1
    scenario: str = Field(description="the scenario file, relative to this one")
    fixed: Sets = Field(default_factory=dict[str, object], description="path → value in every point")
    axes: dict[str, Axis] = Field(
        default_factory=dict[str, Axis], description="path → list or range (docs/sweeps.md)"
    )
    cases: dict[str, Sets] = Field(
        default_factory=dict[str, Sets], description="name → what it sets: fields that change together"
    )
    replications: Annotated[int, Field(ge=1, le=10_000, strict=True)] = Field(
        default=1, description="runs of each point, with seeds seed, seed + 1, …"
    )
    design: Design = Field(default_factory=Grid, description="which combinations of the axes are taken")

    @model_validator(mode="after")
    def _varies_something(self) -> Self:
        if not self.axes and not self.cases and self.replications == 1:
            raise ValueError("a sweep needs 'axes', 'cases' or 'replications'")
        return self


def read_sweep(path: Path) -> SweepSpec:
    """The sweep in a file.

    Raises:
        UserError: for a file that cannot be read or says what no sweep says.
    """
    document = documents.load(path)
    return documents.validate(SweepSpec, document.tree, document=document)

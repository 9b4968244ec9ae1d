"""Curves that ship, with their source: `curves.yaml` beside this file."""

from functools import cache
from importlib.resources import files
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import BaseModel, Field, model_validator

from sim.documents import WRITTEN, parse, validate
from sim.errors import unknown
from sim.figures import Basis
from sim.workload.curves.daily import DAY, DailyCurve, Points, of_mean_one


class HourlyFactors(BaseModel):
    """Mean rate of each hour of the day, on any scale; `basis` and `source` say how it is known."""

    model_config = WRITTEN

    basis: Basis
    source: str
    factors: Annotated[tuple[float, ...], Field(min_length=24, max_length=24)]


class _Catalogue(BaseModel):
    model_config = WRITTEN

    curves: dict[str, HourlyFactors]


@cache
def named_curves() -> dict[str, HourlyFactors]:
    """The curves that ship, by name."""
    text = files("sim.workload.curves").joinpath("curves.yaml").read_text(encoding="utf-8")
    document = parse(text, "curves.yaml")
    return validate(_Catalogue, document.tree, document=document).curves


class NamedCurve(DailyCurve):
    """A curve of the catalogue; its hourly means stand in the middle of their hours."""

    shape: Literal["named"]
    name: str = Field(
        description="servegen-m-small, servegen-deepseek-r1, evening, office or round-the-clock"
    )

    @model_validator(mode="after")
    def _is_known(self) -> Self:
        if self.name not in named_curves():
            raise ValueError(str(unknown("curve", self.name, sorted(named_curves()))))
        return self

    def points(self) -> Points:
        """Times of day (s) and factors."""
        times = np.linspace(0, DAY, 24, endpoint=False) + DAY / 48
        return of_mean_one(times, np.array(named_curves()[self.name].factors))

"""Field types of the hardware schemas: figures that must be positive, whole, or a share of a peak."""

import math
from dataclasses import replace
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

from sim.documents import WRITTEN
from sim.figures import (
    BandwidthFigure,
    BytesFigure,
    Figure,
    FlopRateFigure,
    FrequencyFigure,
    NumberFigure,
    OpRateFigure,
    PowerFigure,
)
from sim.units import show


class Part(BaseModel):
    """What all hardware schemas have in common: they are frozen and know every field."""

    model_config = WRITTEN | ConfigDict(populate_by_name=True)


def _least(figure: Figure) -> float:
    return figure.value if figure.low is None else figure.low


def _most(figure: Figure) -> float:
    return figure.value if figure.high is None else figure.high


def _positive(figure: Figure) -> Figure:
    if _least(figure) <= 0:
        raise ValueError(f"{show(_least(figure), figure.dimension)} must be more than 0")
    return figure


def _whole(figure: Figure) -> Figure:
    if figure.value != round(figure.value) or _least(figure) < 1:
        raise ValueError(f"{figure.text()} must be a whole number from 1 on")
    return replace(figure, bounds=(1.0, math.inf))


def _share(figure: Figure) -> Figure:
    if _most(figure) > 1:
        raise ValueError(f"{figure.text()} is a share of a peak and must not exceed 1")
    return replace(_positive(figure), bounds=(0.0, 1.0))


def _fraction(figure: Figure) -> Figure:
    if _least(figure) < 0 or _most(figure) > 1:
        raise ValueError(f"{figure.text()} must lie between 0 and 1")
    return replace(figure, bounds=(0.0, 1.0))


Count = Annotated[NumberFigure, AfterValidator(_whole)]
Share = Annotated[NumberFigure, AfterValidator(_share)]
Fraction = Annotated[NumberFigure, AfterValidator(_fraction)]
Factor = Annotated[NumberFigure, AfterValidator(_positive)]
Speed = Annotated[BandwidthFigure, AfterValidator(_positive)]
Size = Annotated[BytesFigure, AfterValidator(_positive)]
FlopRate = Annotated[FlopRateFigure, AfterValidator(_positive)]
OpRate = Annotated[OpRateFigure, AfterValidator(_positive)]
Frequency = Annotated[FrequencyFigure, AfterValidator(_positive)]
Power = Annotated[PowerFigure, AfterValidator(_positive)]

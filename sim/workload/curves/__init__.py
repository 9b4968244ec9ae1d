"""Daily curves of the arrival rate. The union of their specs is the registry.

Each gives points (time of day in s, factor on the mean rate); between two the factor is a straight line, and
the last leads to the first of the next day. The mean factor over a day is 1.
"""

from typing import Annotated

from pydantic import Field

from sim.workload.curves.named import NamedCurve
from sim.workload.curves.points import PointsCurve
from sim.workload.curves.sinusoid import SinusoidCurve

Curve = Annotated[SinusoidCurve | PointsCurve | NamedCurve, Field(discriminator="shape")]

__all__ = ["Curve", "NamedCurve", "PointsCurve", "SinusoidCurve"]

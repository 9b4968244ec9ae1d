"""Token length distributions. The union of their specs is the registry: a new one is its file and its name.

Each maps one uniform column to lengths by its inverse distribution function, so that two workloads that
differ in a parameter of a distribution draw corresponding lengths request by request.
"""

from typing import Annotated

from pydantic import Field

from sim.workload.lengths.constant import ConstantLength
from sim.workload.lengths.empirical import Empirical
from sim.workload.lengths.lognormal import Lognormal
from sim.workload.lengths.normal import Normal
from sim.workload.lengths.quantiles import Quantiles
from sim.workload.lengths.text import TextLength
from sim.workload.lengths.uniform import Uniform

Lengths = Annotated[
    ConstantLength | Uniform | Lognormal | Normal | Quantiles | Empirical | TextLength,
    Field(discriminator="distribution"),
]

__all__ = [
    "ConstantLength",
    "Empirical",
    "Lengths",
    "Lognormal",
    "Normal",
    "Quantiles",
    "TextLength",
    "Uniform",
]

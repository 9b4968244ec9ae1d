"""Arrival processes. The union of their specs is the registry: a new one is its file and its name here."""

from sim.workload.arrivals.burst import Burst
from sim.workload.arrivals.closed import Closed
from sim.workload.arrivals.constant import ConstantRate
from sim.workload.arrivals.diurnal import Diurnal
from sim.workload.arrivals.gamma import Gamma
from sim.workload.arrivals.poisson import Poisson
from sim.workload.arrivals.synthetic import Synthetic
from sim.workload.arrivals.trace import Trace

Process = Poisson | Gamma | Diurnal | ConstantRate | Burst | Closed
"""Say only when requests arrive; lengths come from the workload's distributions."""

Source = Trace | Synthetic
"""Bring whole requests: arrivals, lengths, shared prefixes."""

__all__ = [
    "Burst",
    "Closed",
    "ConstantRate",
    "Diurnal",
    "Gamma",
    "Poisson",
    "Process",
    "Source",
    "Synthetic",
    "Trace",
]

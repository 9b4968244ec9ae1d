"""The requests of a run: arrival processes, length distributions, traces, synthetic stand-ins for traces."""

from sim.workload.generate import generate
from sim.workload.requests import Pieces, Requests
from sim.workload.schema import WorkloadSpec

__all__ = ["Pieces", "Requests", "WorkloadSpec", "generate"]

"""Metrics: latency, throughput, goodput, utilisation, cost and energy of a run, and what bounded it.

docs/metrics.md defines every field of the record.
"""

from sim.metrics.bottleneck import OperatorShare, TimeBreakdown, time_breakdown
from sim.metrics.export import require_request_format, write_requests
from sim.metrics.fleet import Fleet
from sim.metrics.record import Header, Summary, Value
from sim.metrics.slo import SloSpec
from sim.metrics.summary import summarise
from sim.metrics.window import Backlog, Window

__all__ = [
    "Backlog",
    "Fleet",
    "Header",
    "OperatorShare",
    "SloSpec",
    "Summary",
    "TimeBreakdown",
    "Value",
    "Window",
    "require_request_format",
    "summarise",
    "time_breakdown",
    "write_requests",
]

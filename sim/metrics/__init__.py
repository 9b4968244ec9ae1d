"""Metrics: latency, throughput, goodput, utilisation, cost and energy of a run, and what bounded it.

docs/metrics.md defines every field of the record.
"""

from sim.metrics.bottleneck import OperatorShare, TimeBreakdown, time_breakdown
from sim.metrics.export import require_request_format, write_requests
from sim.metrics.fleet import Fleet, PoolUse
from sim.metrics.pools import merged
from sim.metrics.power import busy_power
from sim.metrics.record import Header, Summary, Value
from sim.metrics.request_time import (
    LatencyParts,
    RequestTime,
    disaggregated_request_time,
    request_time,
)
from sim.metrics.sampled_steps import SampledSteps, sample_steps
from sim.metrics.slo import SloSpec
from sim.metrics.summary import summarise
from sim.metrics.window import Backlog, Window

__all__ = [
    "Backlog",
    "Fleet",
    "Header",
    "LatencyParts",
    "OperatorShare",
    "PoolUse",
    "RequestTime",
    "SampledSteps",
    "SloSpec",
    "Summary",
    "TimeBreakdown",
    "Value",
    "Window",
    "busy_power",
    "disaggregated_request_time",
    "merged",
    "request_time",
    "require_request_format",
    "sample_steps",
    "summarise",
    "time_breakdown",
    "write_requests",
]

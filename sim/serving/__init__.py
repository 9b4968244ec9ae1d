"""Serving: scheduler, KV cache, engine, router, fleet; `serve` runs a workload and returns its records."""

from sim.serving.batch import SchedulerConfig
from sim.serving.fleet import serve, serve_fleet
from sim.serving.fleet_config import FleetConfig, fleet_config
from sim.serving.records import RunResult
from sim.serving.routers import ROUTERS, RouterName

__all__ = [
    "ROUTERS",
    "FleetConfig",
    "RouterName",
    "RunResult",
    "SchedulerConfig",
    "fleet_config",
    "serve",
    "serve_fleet",
]

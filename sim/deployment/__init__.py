"""How a model is cut up: precision, parallel layout, placement, memory map, engine limits and costs."""

from sim.deployment.deploy import deploy, laid_out
from sim.deployment.deployment import (
    Deployment,
    EngineLimits,
    HostCosts,
    Parallel,
    Precision,
    Speculation,
)
from sim.deployment.engine_families import engine_families, engine_versions, with_engine_defaults
from sim.deployment.fit import Fit, nearest_fit
from sim.deployment.layout import enumerate_layouts, layout_problem, stage_layers
from sim.deployment.memory import MemoryMap, StageMemory, memory_map, sequence_bytes
from sim.deployment.precision import arithmetic_type
from sim.deployment.schema import DeploymentSpec, read_deployment

__all__ = [
    "Deployment",
    "DeploymentSpec",
    "EngineLimits",
    "Fit",
    "HostCosts",
    "MemoryMap",
    "Parallel",
    "Precision",
    "Speculation",
    "StageMemory",
    "arithmetic_type",
    "deploy",
    "engine_families",
    "engine_versions",
    "enumerate_layouts",
    "laid_out",
    "layout_problem",
    "memory_map",
    "nearest_fit",
    "read_deployment",
    "sequence_bytes",
    "stage_layers",
    "with_engine_defaults",
]

"""Bandwall: how fast, and at what cost, will these chips serve this 500B-class model, and what stops them?

The public API, imported when first used so that `import sim` stays light:

    scenario = sim.load("examples/ax-k1-h200.yaml", sets=["cluster.chip.memory.bandwidth=6TB/s"])
    outcome = sim.simulate(scenario)
    step = sim.explain(scenario, decode=64, context=4096)
"""

from importlib import import_module
from typing import TYPE_CHECKING

from sim.version import __version__

if TYPE_CHECKING:
    from sim.calibration import Calibration, calibrate, calibrate_device
    from sim.errors import UserError
    from sim.planning.compare import Comparison, compare
    from sim.planning.national.national import national
    from sim.planning.national.result import NationalResult
    from sim.planning.plan.plan import plan
    from sim.planning.plan.result import PlanResult
    from sim.planning.review.question import scenario_for
    from sim.planning.review.review import Review, review
    from sim.planning.run_cost import run_cost
    from sim.planning.sweep.result import SweepResult
    from sim.planning.sweep.run import sweep
    from sim.planning.teacher.corpus import Corpus, corpus
    from sim.planning.teacher.pools import pools
    from sim.planning.teacher.pools_result import Pools
    from sim.planning.uncertainty.spread import Spread, uncertainty
    from sim.planning.uncertainty.study import Study, sensitivity
    from sim.report import (
        html_compare,
        html_corpus,
        html_explain,
        html_memory_curve,
        html_national,
        html_network,
        html_operators,
        html_plan,
        html_pools,
        html_report,
        html_review,
        html_sensitivity,
        html_sweep,
        html_validate_serving,
        write_run_trace,
        write_step_trace,
    )
    from sim.scenario.catalogue import (
        HardwareProfile,
        describe_hardware,
        describe_model,
        list_hardware,
        list_models,
    )
    from sim.scenario.explanation import Explanation, explain
    from sim.scenario.memory import StudiedMemory, list_memory, load_memory
    from sim.scenario.memory_curve import MemoryCurve, memory_curve
    from sim.scenario.memory_patterns import list_patterns
    from sim.scenario.memory_run import MemoryRun, memory_run
    from sim.scenario.network_run import NetworkRun, network_run
    from sim.scenario.reference import json_schema
    from sim.scenario.scenario import Scenario, load
    from sim.scenario.simulation import Outcome, simulate
    from sim.validation import validate_scheduler
    from sim.validation.memory import MemoryReport, validate_memory
    from sim.validation.network import NetworkReport, validate_network
    from sim.validation.operators import OperatorReport, validate_operators
    from sim.validation.serving import ServingReport, validate_serving

_HOME = {
    "Calibration": "sim.calibration",
    "calibrate": "sim.calibration",
    "calibrate_device": "sim.calibration",
    "Comparison": "sim.planning.compare",
    "Corpus": "sim.planning.teacher.corpus",
    "Explanation": "sim.scenario.explanation",
    "HardwareProfile": "sim.scenario.catalogue",
    "MemoryCurve": "sim.scenario.memory_curve",
    "MemoryReport": "sim.validation.memory",
    "MemoryRun": "sim.scenario.memory_run",
    "NationalResult": "sim.planning.national.result",
    "NetworkReport": "sim.validation.network",
    "NetworkRun": "sim.scenario.network_run",
    "OperatorReport": "sim.validation.operators",
    "Outcome": "sim.scenario.simulation",
    "PlanResult": "sim.planning.plan.result",
    "Pools": "sim.planning.teacher.pools_result",
    "Review": "sim.planning.review.review",
    "Scenario": "sim.scenario.scenario",
    "ServingReport": "sim.validation.serving",
    "Spread": "sim.planning.uncertainty.spread",
    "StudiedMemory": "sim.scenario.memory",
    "Study": "sim.planning.uncertainty.study",
    "SweepResult": "sim.planning.sweep.result",
    "UserError": "sim.errors",
    "compare": "sim.planning.compare",
    "corpus": "sim.planning.teacher.corpus",
    "describe_hardware": "sim.scenario.catalogue",
    "describe_model": "sim.scenario.catalogue",
    "explain": "sim.scenario.explanation",
    "html_compare": "sim.report",
    "html_corpus": "sim.report",
    "html_explain": "sim.report",
    "html_memory_curve": "sim.report",
    "html_national": "sim.report",
    "html_network": "sim.report",
    "html_operators": "sim.report",
    "html_plan": "sim.report",
    "html_pools": "sim.report",
    "html_report": "sim.report",
    "html_sensitivity": "sim.report",
    "html_review": "sim.report",
    "html_validate_serving": "sim.report",
    "html_sweep": "sim.report",
    "json_schema": "sim.scenario.reference",
    "list_hardware": "sim.scenario.catalogue",
    "list_memory": "sim.scenario.memory",
    "list_models": "sim.scenario.catalogue",
    "list_patterns": "sim.scenario.memory_patterns",
    "load": "sim.scenario.scenario",
    "load_memory": "sim.scenario.memory",
    "memory_curve": "sim.scenario.memory_curve",
    "memory_run": "sim.scenario.memory_run",
    "national": "sim.planning.national.national",
    "network_run": "sim.scenario.network_run",
    "plan": "sim.planning.plan.plan",
    "pools": "sim.planning.teacher.pools",
    "review": "sim.planning.review.review",
    "run_cost": "sim.planning.run_cost",
    "scenario_for": "sim.planning.review.question",
    "sensitivity": "sim.planning.uncertainty.study",
    "simulate": "sim.scenario.simulation",
    "sweep": "sim.planning.sweep.run",
    "uncertainty": "sim.planning.uncertainty.spread",
    "validate_memory": "sim.validation.memory",
    "validate_network": "sim.validation.network",
    "validate_operators": "sim.validation.operators",
    "validate_scheduler": "sim.validation",
    "validate_serving": "sim.validation.serving",
    "write_run_trace": "sim.report",
    "write_step_trace": "sim.report",
}

__all__ = [
    "Calibration",
    "Comparison",
    "Corpus",
    "Explanation",
    "HardwareProfile",
    "MemoryCurve",
    "MemoryReport",
    "MemoryRun",
    "NationalResult",
    "NetworkReport",
    "NetworkRun",
    "OperatorReport",
    "Outcome",
    "PlanResult",
    "Pools",
    "Review",
    "Scenario",
    "ServingReport",
    "Spread",
    "StudiedMemory",
    "Study",
    "SweepResult",
    "UserError",
    "__version__",
    "calibrate",
    "calibrate_device",
    "compare",
    "corpus",
    "describe_hardware",
    "describe_model",
    "explain",
    "html_compare",
    "html_corpus",
    "html_explain",
    "html_memory_curve",
    "html_national",
    "html_network",
    "html_operators",
    "html_plan",
    "html_pools",
    "html_report",
    "html_review",
    "html_sensitivity",
    "html_sweep",
    "html_validate_serving",
    "json_schema",
    "list_hardware",
    "list_memory",
    "list_models",
    "list_patterns",
    "load",
    "load_memory",
    "memory_curve",
    "memory_run",
    "national",
    "network_run",
    "plan",
    "pools",
    "review",
    "run_cost",
    "scenario_for",
    "sensitivity",
    "simulate",
    "sweep",
    "uncertainty",
    "validate_memory",
    "validate_network",
    "validate_operators",
    "validate_scheduler",
    "validate_serving",
    "write_run_trace",
    "write_step_trace",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'sim' has no attribute '{name}'")
    return getattr(import_module(_HOME[name]), name)

"""Reports: self-contained HTML pages of what the commands compute, and timelines of a run and of a step."""

from sim.report.compare_page import html_compare
from sim.report.corpus_page import html_corpus
from sim.report.explain_page import html_explain
from sim.report.memory_page import html_memory_curve
from sim.report.national_page import html_national
from sim.report.network_page import html_network
from sim.report.operators_page import html_operators
from sim.report.plan_page import html_plan
from sim.report.pools_page import html_pools
from sim.report.review_page import html_review
from sim.report.run_page import html_report
from sim.report.run_trace import write_run_trace
from sim.report.sensitivity_page import html_sensitivity
from sim.report.serving_page import html_validate_serving
from sim.report.step_trace import write_step_trace
from sim.report.sweep_page import html_sweep

__all__ = [
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
    "write_run_trace",
    "write_step_trace",
]

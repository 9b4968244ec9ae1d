"""Reports: self-contained HTML pages of a run, an explained step, a memory's curves, a sweep, a comparison
with measured serving."""

from sim.report.explain_page import html_explain
from sim.report.memory_page import html_memory_curve
from sim.report.run_page import html_report
from sim.report.serving_page import html_validate_serving
from sim.report.sweep_page import html_sweep

__all__ = ["html_explain", "html_memory_curve", "html_report", "html_sweep", "html_validate_serving"]

"""Reports: self-contained HTML pages of a run, of an explained step, and of a memory's curves."""

from sim.report.explain_page import html_explain
from sim.report.memory_page import html_memory_curve
from sim.report.run_page import html_report

__all__ = ["html_explain", "html_memory_curve", "html_report"]

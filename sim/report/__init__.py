"""Reports: self-contained HTML pages of a run and of an explained step."""

from sim.report.explain_page import html_explain
from sim.report.run_page import html_report

__all__ = ["html_explain", "html_report"]

"""Whole engines against measured serving cases."""

from sim.validation.serving.report import ServingReport
from sim.validation.serving.validate import validate_serving

__all__ = ["ServingReport", "validate_serving"]

"""Against references: the real scheduler's recorded decisions."""

from sim.validation.scheduler import Difference, SchedulerReport, validate_scheduler

__all__ = ["Difference", "SchedulerReport", "validate_scheduler"]

"""The event fidelity: one chip of a step as engines, memory and links that kernels contend for."""

from sim.timing.event.timer import EventTimer

__all__ = ["EventTimer"]

"""What every algorithm of a collective has in common: a name, and its time on one level of the fabric."""

from typing import Protocol

from sim.network.group import Level
from sim.network.link_time import LinkTime
from sim.operators.quantities import Array


class Algorithm(Protocol):
    """One way to run a collective among the units of a level, each chip with its peers of the other units."""

    @property
    def name(self) -> str:
        """As a tier's `algorithms` names it."""
        ...

    def time(self, level: Level, message: Array) -> LinkTime | None:
        """Its time for a logical message of so many bytes, or nothing where the fabric cannot run it."""
        ...

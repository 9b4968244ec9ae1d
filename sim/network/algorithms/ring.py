"""Ring: every chip passes shares of 1/n to its neighbour.

  all-reduce                   2(n−1) steps, 2S(n−1)/n sent
  all-gather, reduce-scatter   (n−1) steps, S(n−1)/n sent
  broadcast                    (n−1) steps, S sent
The own share S/n is copied, or reduced, on the chip.

Source: Thakur, Rabenseifner and Gropp (2005).
"""

from dataclasses import dataclass

import numpy as np

from sim.network.algorithms.protocols import collective
from sim.network.group import Level
from sim.network.link_time import LinkTime
from sim.operators.quantities import Array


@dataclass(frozen=True, slots=True)
class RingAllReduce:
    """All-reduce around a ring."""

    name: str = "ring"

    def time(self, level: Level, message: Array) -> LinkTime:
        """2(n−1) steps of 1/n of the message."""
        n = level.units
        return collective(level, self.name, 2 * (n - 1), message, 2 * message * (n - 1) / n, message / n)


@dataclass(frozen=True, slots=True)
class RingGather:
    """All-gather around a ring, or the same backwards: reduce-scatter."""

    name: str = "ring"

    def time(self, level: Level, message: Array) -> LinkTime:
        """(n−1) steps of 1/n of the message."""
        n = level.units
        return collective(level, self.name, n - 1, message, message * (n - 1) / n, message / n)


@dataclass(frozen=True, slots=True)
class RingBroadcast:
    """Broadcast along a ring, in pieces that follow one another."""

    name: str = "ring"

    def time(self, level: Level, message: Array) -> LinkTime:
        """Every chip but the last passes on the whole message."""
        return collective(level, self.name, level.units - 1, message, message, np.zeros_like(message))

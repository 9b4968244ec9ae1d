"""Recursive halving and doubling: log2 n exchanges of halves with ever nearer partners, and back.

  all-reduce   2·⌈log2 n⌉ steps, 2S(n−1)/n sent over the path between one pair

Source: Thakur, Rabenseifner and Gropp (2005).
"""

from dataclasses import dataclass
from math import ceil, log2

from sim.network.algorithms.protocols import bulk
from sim.network.group import Level
from sim.network.link_time import LinkTime
from sim.operators.quantities import Array


@dataclass(frozen=True, slots=True)
class HalvingDoubling:
    """Reduce-scatter by halves, all-gather by doubles."""

    name: str = "halving-doubling"

    def time(self, level: Level, message: Array) -> LinkTime:
        """Partners meet on the path of a pair: a link of a mesh, as many links as lie between in a torus."""
        n = level.units
        pair = min(level.peer, level.bandwidth) / level.distance
        steps = 2 * ceil(log2(n)) * level.distance
        return bulk(level, self.name, steps, 2 * message * (n - 1) / n, message / n, pair)

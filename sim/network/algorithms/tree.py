"""Double binary tree: half the message goes up and down one tree, half another.

  all-reduce   2·⌈log2 n⌉ steps, 2S(n−1)/n sent
  broadcast    ⌈log2 n⌉ steps, S sent: each half twice by the inner nodes of its tree

A chip is an inner node of one tree and a leaf of the other, so all links carry alike. In a ring or torus a
step crosses up to `distance` links.

Source: Sanders, Speck and Träff (2009), as NCCL uses it between servers since 2.4.
"""

from dataclasses import dataclass
from math import ceil, log2

import numpy as np

from sim.network.algorithms.protocols import collective
from sim.network.group import Level
from sim.network.link_time import LinkTime
from sim.operators.quantities import Array


@dataclass(frozen=True, slots=True)
class TreeAllReduce:
    """Reduce to both roots, broadcast from them."""

    name: str = "tree"

    def time(self, level: Level, message: Array) -> LinkTime:
        """Up and down again."""
        n = level.units
        sent = 2 * message * (n - 1) / n
        return collective(level, self.name, 2 * ceil(log2(n)) * level.distance, message, sent, message / n)


@dataclass(frozen=True, slots=True)
class TreeBroadcast:
    """Down both trees."""

    name: str = "tree"

    def time(self, level: Level, message: Array) -> LinkTime:
        """Each half is sent twice by its inner nodes, which are the leaves of the other half."""
        steps = ceil(log2(level.units)) * level.distance
        return collective(level, self.name, steps, message, message, np.zeros_like(message))

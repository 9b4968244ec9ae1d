"""Algorithms of collectives, each in a file of its own. A tier's `algorithms` names those its library has."""

from sim.network.algorithms.base import Algorithm
from sim.network.algorithms.direct import DirectAllToAll
from sim.network.algorithms.halving_doubling import HalvingDoubling
from sim.network.algorithms.in_network import InNetwork
from sim.network.algorithms.ring import RingAllReduce, RingBroadcast, RingGather
from sim.network.algorithms.tree import TreeAllReduce, TreeBroadcast

ALL_REDUCE: tuple[Algorithm, ...] = (RingAllReduce(), TreeAllReduce(), HalvingDoubling(), InNetwork())
GATHER: tuple[Algorithm, ...] = (RingGather(),)
BROADCAST: tuple[Algorithm, ...] = (RingBroadcast(), TreeBroadcast())
ALL_TO_ALL: tuple[Algorithm, ...] = (DirectAllToAll(),)

__all__ = ["ALL_REDUCE", "ALL_TO_ALL", "BROADCAST", "GATHER", "Algorithm"]

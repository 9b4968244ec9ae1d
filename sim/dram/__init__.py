"""DRAM as a discrete-event system: what bandwidth and latency an access pattern really gets."""

from sim.dram.compiled import numba_installed
from sim.dram.device import Constraint, Device, Organisation, SplitActivation
from sim.dram.mapping import AddressMapping, parse_mapping
from sim.dram.simulation import Measured, Served, measure, serve
from sim.dram.stream import PATTERNS, PatternSpec, arrival_ticks, generate, trace_hash
from sim.dram.system import BankQueueController, MemorySystem, Refresh, SharedQueueController

__all__ = [
    "PATTERNS",
    "AddressMapping",
    "BankQueueController",
    "Constraint",
    "Device",
    "Measured",
    "MemorySystem",
    "Organisation",
    "PatternSpec",
    "Refresh",
    "Served",
    "SharedQueueController",
    "SplitActivation",
    "arrival_ticks",
    "generate",
    "measure",
    "numba_installed",
    "parse_mapping",
    "serve",
    "trace_hash",
]

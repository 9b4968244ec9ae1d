"""DRAM as a discrete-event system: what bandwidth and latency an access pattern really gets.

Names are imported when first used: a run takes fractions from tables and needs no simulator.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sim.dram.bandwidth import Achieved, achieved, fractions
    from sim.dram.channels import INTERLEAVE, ChipMemory, chip_memory, interleaved_mapping
    from sim.dram.compiled import numba_installed
    from sim.dram.device import Constraint, Device, Organisation, SplitActivation
    from sim.dram.devices import MemoryDevice, device_names, load_device, read_device, resolve_device
    from sim.dram.efficiency import DramEfficiency, Efficiency, dram_efficiency
    from sim.dram.mapping import AddressMapping, parse_mapping
    from sim.dram.measuring import Measured, measure
    from sim.dram.patterns import (
        AccessPattern,
        activations,
        expert_weights,
        kv_append,
        paged_kv,
        random_chunks,
        sequential_streams,
        sparse_rows,
        step_mix,
        strided,
        uniform_random,
        weight_stream,
    )
    from sim.dram.simulation import Served, serve
    from sim.dram.stream import PATTERNS, PatternSpec, arrival_ticks, generate, trace_hash
    from sim.dram.system import BankQueueController, MemorySystem, Refresh, SharedQueueController
    from sim.hardware.memory_profile import MemoryDeviceProfile

_HOME = {
    "AccessPattern": "sim.dram.patterns",
    "Achieved": "sim.dram.bandwidth",
    "AddressMapping": "sim.dram.mapping",
    "BankQueueController": "sim.dram.system",
    "ChipMemory": "sim.dram.channels",
    "Constraint": "sim.dram.device",
    "Device": "sim.dram.device",
    "DramEfficiency": "sim.dram.efficiency",
    "Efficiency": "sim.dram.efficiency",
    "INTERLEAVE": "sim.dram.channels",
    "Measured": "sim.dram.measuring",
    "MemoryDevice": "sim.dram.devices",
    "MemoryDeviceProfile": "sim.hardware.memory_profile",
    "MemorySystem": "sim.dram.system",
    "Organisation": "sim.dram.device",
    "PATTERNS": "sim.dram.stream",
    "PatternSpec": "sim.dram.stream",
    "Refresh": "sim.dram.system",
    "Served": "sim.dram.simulation",
    "SharedQueueController": "sim.dram.system",
    "SplitActivation": "sim.dram.device",
    "achieved": "sim.dram.bandwidth",
    "activations": "sim.dram.patterns",
    "arrival_ticks": "sim.dram.stream",
    "chip_memory": "sim.dram.channels",
    "device_names": "sim.dram.devices",
    "dram_efficiency": "sim.dram.efficiency",
    "expert_weights": "sim.dram.patterns",
    "fractions": "sim.dram.bandwidth",
    "generate": "sim.dram.stream",
    "interleaved_mapping": "sim.dram.channels",
    "kv_append": "sim.dram.patterns",
    "load_device": "sim.dram.devices",
    "measure": "sim.dram.measuring",
    "numba_installed": "sim.dram.compiled",
    "paged_kv": "sim.dram.patterns",
    "parse_mapping": "sim.dram.mapping",
    "random_chunks": "sim.dram.patterns",
    "read_device": "sim.dram.devices",
    "resolve_device": "sim.dram.devices",
    "sequential_streams": "sim.dram.patterns",
    "serve": "sim.dram.simulation",
    "sparse_rows": "sim.dram.patterns",
    "step_mix": "sim.dram.patterns",
    "strided": "sim.dram.patterns",
    "trace_hash": "sim.dram.stream",
    "uniform_random": "sim.dram.patterns",
    "weight_stream": "sim.dram.patterns",
}

__all__ = [
    "INTERLEAVE",
    "PATTERNS",
    "AccessPattern",
    "Achieved",
    "AddressMapping",
    "BankQueueController",
    "ChipMemory",
    "Constraint",
    "Device",
    "DramEfficiency",
    "Efficiency",
    "Measured",
    "MemoryDevice",
    "MemoryDeviceProfile",
    "MemorySystem",
    "Organisation",
    "PatternSpec",
    "Refresh",
    "Served",
    "SharedQueueController",
    "SplitActivation",
    "achieved",
    "activations",
    "arrival_ticks",
    "chip_memory",
    "device_names",
    "dram_efficiency",
    "expert_weights",
    "fractions",
    "generate",
    "interleaved_mapping",
    "kv_append",
    "load_device",
    "measure",
    "numba_installed",
    "paged_kv",
    "parse_mapping",
    "random_chunks",
    "read_device",
    "resolve_device",
    "sequential_streams",
    "serve",
    "sparse_rows",
    "step_mix",
    "strided",
    "trace_hash",
    "uniform_random",
    "weight_stream",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'sim.dram' has no attribute '{name}'")
    return getattr(import_module(_HOME[name]), name)

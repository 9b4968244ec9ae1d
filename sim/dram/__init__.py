"""DRAM as a discrete-event system: what bandwidth and latency an access pattern really gets."""

from sim.dram.achieved import Achieved, achieved, fractions
from sim.dram.chip_memory import INTERLEAVE, ChipMemory, chip_memory, interleaved_mapping
from sim.dram.compiled import numba_installed
from sim.dram.device import Constraint, Device, Organisation, SplitActivation
from sim.dram.devices import MemoryDevice, device_names, load_device, read_device, resolve_device
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
from sim.dram.schema import MemoryDeviceProfile
from sim.dram.simulation import Served, serve
from sim.dram.stream import PATTERNS, PatternSpec, arrival_ticks, generate, trace_hash
from sim.dram.system import BankQueueController, MemorySystem, Refresh, SharedQueueController

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

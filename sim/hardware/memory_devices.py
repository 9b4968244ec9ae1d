"""Kinds of device memory: data pins of one stack or package, and the energy of moving a byte.

pins · pin rate / 8 = B/s of one stack. Sources: JEDEC organisation (HBM2E JESD235D, HBM3 JESD238,
HBM4 JESD270-4, GDDR6 and GDDR7 x32 devices, LPDDR5 and LPDDR5X x64 packages); energies are literature ranges,
access and interface together.
"""

from sim.figures import Figure
from sim.units import ENERGY_PER_BYTE

_PICOJOULE = 1e-12
_BITS = 8


def _energy(value: float, low: float, high: float, source: str) -> Figure:
    """An energy per byte from picojoule per bit."""
    low, value, high = (x * _BITS * _PICOJOULE for x in (low, value, high))
    return Figure(value, ENERGY_PER_BYTE, low, high, "estimate", source)


PINS: dict[str, int] = {
    "HBM2": 1024,
    "HBM2e": 1024,
    "HBM3": 1024,
    "HBM3e": 1024,
    "HBM4": 2048,
    "GDDR6": 32,
    "GDDR6X": 32,
    "GDDR7": 32,
    "LPDDR5": 64,
    "LPDDR5X": 64,
}

ENERGY: dict[str, Figure] = {
    "HBM2": _energy(3.9, 3.5, 4.5, "as HBM2E"),
    "HBM2e": _energy(3.9, 3.5, 4.5, "3.5-4.5 pJ/bit in the literature, access and I/O"),
    "HBM3": _energy(3.9, 3.4, 4.2, "3.4-4.2 pJ/bit in the literature, access and I/O"),
    "HBM3e": _energy(3.9, 3.3, 4.2, "3.3-4.2 pJ/bit in the literature, access and I/O"),
    "HBM4": _energy(2.6, 2.2, 3.2, "over 40 % better than HBM3E (SK hynix, 2025)"),
    "GDDR6": _energy(7.5, 6.5, 8.5, "6.5-8.5 pJ/bit in the literature"),
    "GDDR6X": _energy(7.25, 6.5, 8.5, "7.25 pJ/bit announced (Micron, 2020), PAM4 signalling"),
    "GDDR7": _energy(6.0, 5.0, 7.0, "5-7 pJ/bit, PAM3 signalling, literature"),
    "LPDDR5": _energy(4.5, 3.5, 6.0, "as LPDDR5X"),
    "LPDDR5X": _energy(4.5, 3.5, 6.0, "3.5-6 pJ/bit in the literature"),
}

UNKNOWN_ENERGY = Figure(
    5.0 * _BITS * _PICOJOULE,
    ENERGY_PER_BYTE,
    2.6 * _BITS * _PICOJOULE,
    8.0 * _BITS * _PICOJOULE,
    "assumption",
    "2.6-8 pJ/bit over all kinds of DRAM",
)
"""Of a device that is not in the list."""

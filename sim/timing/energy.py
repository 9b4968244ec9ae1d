"""Energy of an operator beyond what its chip draws whenever a step runs.

    E = FLOPs · e(type) + HBM bytes · e_HBM + Σ tiers of bytes sent · e_tier
    e(type) = e(16 bits) · peak(16 bits) / peak(type)

The matrix engines of a chip draw the same power at the peak of each type, since one design power covers all
of them; so a type of twice the rate takes half the energy. Vector operations count as 16-bit ones. Source of
the energies: the chip's and the tiers' figures (`sim.hardware.assumed`, `sim.hardware.memory_devices`).
"""

from collections.abc import Mapping

from sim.hardware.chip import Chip
from sim.hardware.cluster import Cluster
from sim.operators import Collective, ExpertExchange, Hop, Operator


def compute_energy(operator: Operator, chip: Chip) -> float:
    """J per FLOP of the operator; 0 for communication."""
    if isinstance(operator, Collective | ExpertExchange | Hop):
        return 0.0
    return energy_per_flop(chip, getattr(operator, "arithmetic", "bf16"))


def energy_per_flop(chip: Chip, dtype: str) -> float:
    """J per FLOP of an arithmetic type."""
    peaks = chip.compute.peak
    reference = peaks.get("bf16") or min(peaks.values())
    return chip.power.pj_flop * reference / peaks.get("bf16" if dtype == "fp16" else dtype, reference)


def link_energy(carried: Mapping[str, float], cluster: Cluster) -> float:
    """J of bytes sent, by tier."""
    return sum(tier.pj_byte * carried.get(tier.name, 0.0) for tier in cluster.tiers)

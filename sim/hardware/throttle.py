"""A chip at a lower clock, as its power limit sets it.

    rates of matrix, vector and special-function units and of the shared memory ~ clock
    active power ~ clock^a, energy per FLOP ~ clock^(a − 1)

with a = `power.clock_exponent`. HBM and links have clocks of their own: their bandwidth and energy per byte
stay.
The law is an assumption; a = 3 where voltage follows the clock (f·V²), less where voltage is near its floor.
"""

from dataclasses import replace

from sim.hardware.chip import Chip
from sim.hardware.cluster import Cluster

LEAST_CLOCK = 0.3
"""Of the full clock; below it chips are switched off rather than slowed."""


def throttled(cluster: Cluster, clock: float) -> Cluster:
    """The cluster with its chips at this share of their clock."""
    return cluster if clock == 1.0 else replace(cluster, chip=_at(cluster.chip, clock))


def _at(chip: Chip, clock: float) -> Chip:
    compute, sram, power = chip.compute, chip.sram, chip.power
    slower = replace(
        compute,
        clock=compute.clock * clock,
        peak={dtype: peak * clock for dtype, peak in compute.peak.items()},
        vector_flops=compute.vector_flops * clock,
        exp_rate=compute.exp_rate * clock,
    )
    return replace(
        chip,
        clock_share=clock,
        compute=slower,
        sram=replace(sram, bandwidth=sram.bandwidth * clock),
        power=replace(
            power,
            active=power.active * clock**power.clock_exponent,
            pj_flop=power.pj_flop * clock ** (power.clock_exponent - 1.0),
        ),
    )

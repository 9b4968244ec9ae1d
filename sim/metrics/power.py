"""Power and energy of a fleet, chips with their share of the box; power at the meter is PUE times that.

mean power of a chip = on · (overhead + idle) + busy · min(tdp − idle, active + J of the operators per busy s)
on                   = chip time / (chips · duration), 1 unless replicas are switched off
power in a state     = overhead + idle + min(tdp − idle, active + J of the state's steps per second of them)
peak                 = the same in the hottest of the sampled steps
J per output token   = chips · duration · mean power / output tokens

The operators' energies are of `sim.timing.energy`. FLOPs and bytes are those of the slowest chip of a stage,
taken for all chips, so power is on the high side. That no chip exceeds its design power is what the minimum
says of moments; where the mean of busy time would, the chip's clock is lower and the run takes longer
(`sim.scenario.power_limit`).
"""

from collections.abc import Sequence

from sim.hardware.cluster import Cluster
from sim.metrics.bottleneck import State, TimeBreakdown
from sim.metrics.fleet import PoolUse
from sim.serving.records import RunResult

FIELDS = (
    *("mean_power_per_chip_w", "peak_power_per_chip_w", "idle_power_per_chip_w"),
    *("decode_power_per_chip_w", "prefill_power_per_chip_w"),
    *("mean_kw", "peak_kw", "joules", "joules_per_output_token"),
)


def energy(result: RunResult, pools: Sequence[PoolUse], output_tokens: int) -> dict[str, float | None]:
    """The fields of `FIELDS`; None where power is not known, or a state did not occur."""
    uses = [(p.result.chips, p.fleet.cluster, p.breakdown) for p in pools if p.breakdown is not None]
    known = [(chips, cluster, use) for chips, cluster, use in uses if cluster.chip.power.tdp > 0]
    if len(known) < len(pools):
        return dict.fromkeys(FIELDS)
    watts = sum(
        p.result.chips * mean_power(p.fleet.cluster, p.breakdown, p.result.on_share)
        for p in pools
        if p.breakdown is not None
    )
    peak = sum(chips * power_in(cluster, use, "hottest") for chips, cluster, use in known)
    idle = sum(chips * at_rest(cluster) for chips, cluster, _ in known)
    joules = watts * result.duration
    return {
        "mean_power_per_chip_w": watts / result.chips,
        "peak_power_per_chip_w": peak / result.chips,
        "idle_power_per_chip_w": idle / result.chips,
        "decode_power_per_chip_w": _mean_in(known, "decode"),
        "prefill_power_per_chip_w": _mean_in(known, "prefill"),
        "mean_kw": watts / 1e3,
        "peak_kw": peak / 1e3,
        "joules": joules,
        "joules_per_output_token": joules / output_tokens if output_tokens else None,
    }


def mean_power(cluster: Cluster, breakdown: TimeBreakdown, on: float = 1.0) -> float:
    """Mean power of a chip and its share of the box over the run, W; switched on for a share `on` of it."""
    return on * at_rest(cluster) + breakdown.busy * _capped(cluster, breakdown.rate(lambda o: o.energy))


def busy_power(cluster: Cluster, breakdown: TimeBreakdown) -> float:
    """What it would draw while it is busy if nothing limited it, W."""
    return at_rest(cluster) + cluster.chip.power.active + breakdown.rate(lambda o: o.energy)


def power_in(cluster: Cluster, breakdown: TimeBreakdown, state: State) -> float:
    """Its power in the steps of a state, W; at rest where none occurred."""
    switching = breakdown.switching.get(state)
    return at_rest(cluster) + (0.0 if switching is None else _capped(cluster, switching))


def at_rest(cluster: Cluster) -> float:
    """Its power without a step, W."""
    return cluster.overhead_power + cluster.chip.power.idle


def _capped(cluster: Cluster, switching: float) -> float:
    """What a step draws above rest, W."""
    power = cluster.chip.power
    return min(max(0.0, power.tdp - power.idle), power.active + switching)


def _mean_in(known: Sequence[tuple[int, Cluster, TimeBreakdown]], state: State) -> float | None:
    """Mean over the chips of the pools in which the state occurs."""
    found = [
        (chips, power_in(cluster, use, state)) for chips, cluster, use in known if state in use.switching
    ]
    return sum(chips * watts for chips, watts in found) / sum(chips for chips, _ in found) if found else None

"""From the knee of a layout to a fleet: as few replicas as replications confirm."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sim.figures import Resolution
from sim.planning.money import bill
from sim.planning.plan.candidate import Candidate, Ranked, layout_sets
from sim.planning.plan.fleet import field, interval, node_loss, over
from sim.planning.plan.knee import Knee
from sim.planning.plan.option import Option
from sim.planning.plan.schema import PlanSpec
from sim.planning.plan.trial import Replica, Trial, attempt, measured

SHOWN = (
    "tokens_per_s_per_chip", "tokens_per_s_per_user", "joules_per_output_token", "slo_attainment",
    "p99_ttft_ms", "p99_tpot_ms", "p99_e2el_ms", "mean_power_per_chip_w",
)  # fmt: skip
_MOST_STEPS = 4
"""Replicas that are added where replications do not confirm what one seed promised."""


@dataclass(frozen=True, slots=True)
class Share:
    """A replica to be run at its share of the load, once."""

    replica: Replica
    rate: float
    seed: int


def attempted(share: Share) -> Trial:
    """Runs it."""
    return attempt(share.replica, share.rate, share.seed)


Run = Callable[[Sequence[Share]], list[Trial]]
"""Runs shares, in any order, and returns their trials by seed."""


def fleet_option(
    spec: PlanSpec, candidate: Candidate, ranked: Ranked, replica: Replica, knee: Knee, run: Run
) -> Option | None:
    """The smallest confirmed fleet in this layout; None where the layout cannot serve the load.

    A fleet is confirmed where at least as many replications meet what is asked as miss it.
    """
    if knee.rate <= 0:
        return None
    chips = ranked.screened.layout.parallel.chips
    least = math.ceil(spec.rate / knee.rate - 1e-9)
    for replicas in range(least, least + _MOST_STEPS):
        if replicas * chips > spec.max_chips:
            return None
        rate = spec.rate / replicas
        seeds = range(spec.seed, spec.seed + spec.search.replications)
        trials = run([Share(replica, rate, seed) for seed in seeds])
        if 2 * sum(trial.meets for trial in trials) >= len(trials):
            return _option(spec, candidate, ranked, knee, replicas, trials)
    return None


def _option(
    spec: PlanSpec, candidate: Candidate, ranked: Ranked, knee: Knee, replicas: int, trials: list[Trial]
) -> Option:
    cluster, layout = candidate.template.cluster, ranked.screened.layout
    chips = replicas * layout.parallel.chips
    power = over(trials, field("mean_power_per_chip_w"))
    watts = cluster.chip.power.tdp + cluster.overhead_power if power is None else power.mean
    idle = cluster.chip.power.idle + cluster.overhead_power
    cost = bill(spec.money, cluster.chip, chips, cluster.server, watts, idle, Resolution("money"))
    tokens = [replicas * (measured(trial.record, "output_throughput") or math.nan) for trial in trials]
    rate = spec.rate / replicas
    carried = max(knee.rate, rate)
    found = {name: over(trials, field(name)) for name in SHOWN}
    return Option(
        candidate=candidate.name,
        ranked=ranked,
        sets=(*layout_sets(layout), f"workload.arrivals.rate={rate!r}"),
        replicas=replicas,
        chips=chips,
        servers=math.ceil(chips / cluster.server),
        knee=carried,
        open=knee.open,
        headroom=carried / rate - 1.0,
        bill=cost,
        usd_per_million=interval([cost.usd_per_hour / 3600.0 / each * 1e6 for each in tokens]),
        figures={name: figure for name, figure in found.items() if figure is not None},
        loss=node_loss(spec.rate, carried, replicas, layout.parallel.chips, cluster.server),
        bound_by=str(trials[0].record.get("bound_by") or ""),
        trials=tuple(trials),
        search=knee,
    )

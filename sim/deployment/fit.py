"""Where a deployment does not fit: the smallest change that would.

Candidates have the same model, precision, engine and chip. They are tried by number of chips; among
layouts on as many chips the one nearest to what was asked for comes first: tensor parallelism
within a server, no more pipeline stages than servers (or than asked for), fewest sizes changed, more
pipeline stages before more attention-dp ranks.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from sim.deployment.deployment import Deployment, Parallel
from sim.deployment.layout import divisors, enumerate_layouts, layout_problem
from sim.deployment.memory import MemoryMap, memory_map
from sim.deployment.precision import WIDTH_BITS

MOST_SERVERS = 64
_NARROWER_WEIGHTS = ("fp8", "int8", "fp4", "int4")


@dataclass(frozen=True, slots=True)
class Fit:
    """A deployment that fits, and the servers it takes (1 where it is within one)."""

    deployment: Deployment
    memory: MemoryMap
    servers: int


def nearest_fit(deployment: Deployment, longest: int = 0) -> Fit | None:
    """The layout with the fewest chips that holds the model, or None within `MOST_SERVERS` servers.

    Args:
        longest: tokens of one sequence its KV cache has to hold.
    """
    for chips in _chip_counts(deployment):
        stored, redundant = deployment.precision.stored("experts"), deployment.redundant_experts
        layouts = enumerate_layouts(deployment.model, chips, stored, redundant)
        for parallel in sorted(layouts, key=lambda layout: _distance(layout, deployment)):
            candidate = replace(deployment, parallel=parallel, replicas=1)
            memory = memory_map(candidate)
            if memory.fits and memory.longest_sequence >= longest:
                return Fit(candidate, memory, -(-chips // deployment.cluster.server))
    return None


def narrower_weights_that_fit(deployment: Deployment, longest: int = 0) -> str | None:
    """The widest weight type below the present one with which the same layout fits, or None."""
    now = WIDTH_BITS[deployment.precision.weights]
    for weights in _NARROWER_WEIGHTS:
        redundant = deployment.redundant_experts
        if WIDTH_BITS[weights] >= now or layout_problem(
            deployment.model, deployment.parallel, weights, redundant
        ):
            continue
        memory = memory_map(replace(deployment, precision=replace(deployment.precision, weights=weights)))
        if memory.fits and memory.longest_sequence >= longest:
            return weights
    return None


def _chip_counts(deployment: Deployment) -> Iterator[int]:
    """Chips of one replica worth trying, ascending: parts of a server, then whole servers."""
    server, asked = deployment.cluster.server, deployment.parallel.chips
    yield from (n for n in divisors(server) if n >= asked)
    yield from (n * server for n in range(2, MOST_SERVERS + 1) if n * server >= asked)


def _distance(layout: Parallel, deployment: Deployment) -> tuple[bool, bool, int, int, int, int, int]:
    asked, server = deployment.parallel, deployment.cluster.server
    stages = max(asked.pp, -(-layout.chips // server))
    full = asked.ep > 1 and asked.ep == asked.tp * asked.dp
    same_experts = layout.ep == (layout.tp * layout.dp if full else asked.ep)
    changed = (layout.tp != asked.tp) + (layout.pp != asked.pp) + (layout.dp != asked.dp) + (not same_experts)
    return layout.tp > server, layout.pp > stages, changed, layout.dp, layout.pp, layout.tp, layout.ep


def shortfall(deployment: Deployment, memory: MemoryMap) -> str:
    """One sentence: what is short by how much, and what would fit."""
    stage = memory.tightest
    one_sequence = stage.sequence + 2 * stage.block
    short = stage.needed + one_sequence - stage.usable
    chips = deployment.parallel.chips // len(memory.stages)
    where = f" of stage {stage.stage}" if len(memory.stages) > 1 else ""
    return (
        f"deployment: {deployment.model.name} with {deployment.precision.weights} weights does not fit "
        f"{described(deployment.parallel)} of {deployment.cluster.name}: each chip{where} needs "
        f"{_gb(sum(stage.weights.values()))} of weights, {_gb(stage.activations)} of activations and "
        f"{_gb(stage.reserve)} of reserve but may use {_gb(stage.usable)} "
        f"({deployment.engine.gpu_memory_utilization:g} of {_gb(stage.visible)}), short by {_gb(short)} "
        f"per chip and {_gb(short * chips)} in all; {remedy(deployment)}"
    )


def remedy(deployment: Deployment, longest: int = 0) -> str:
    """The nearest layout that fits, and the wider hint: fewer bits per weight."""
    fit = nearest_fit(deployment, longest)
    if fit is None:
        found = f"no layout on up to {MOST_SERVERS * deployment.cluster.server} such chips fits"
    else:
        within = fit.deployment.parallel.chips <= deployment.cluster.chips
        servers = "" if within else f", {fit.servers} such servers"
        found = f"the nearest layout that fits is {described(fit.deployment.parallel)}{servers}"
    narrower = narrower_weights_that_fit(deployment, longest)
    return f"{found}, or {narrower} weights in this one" if narrower else found


def described(parallel: Parallel) -> str:
    """As in 'tp 8, ep 8 on 8 chips'; sizes of 1 are left out."""
    shown = ", ".join(parallel.sizes) or "one shard"
    return f"{shown} on {parallel.chips} chip{'s' if parallel.chips > 1 else ''}"


def _gb(size: float) -> str:
    return f"{size / 1e9:,.1f} GB"

"""The layouts that a plan looks at, and the optimistic bound that screens them.

A replica takes a divisor of a server's chips, or whole servers up to the cluster. Its bound, with n decodes
per attention-dp rank, as many as limits, KV cache and TPOT allow:

    requests/s of a replica ≤ dp · n / (decode steps of a request · mixed(n)) / attainment

`mixed` is the least mean time of a step that also takes in the requests that replace those that finish
(`sim.planning.plan.light`), so no timer of this project makes a replica faster. A layout whose memory does
not hold it, or whose light alone breaks a bound of the SLO, is out.
"""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from sim.deployment import Deployment, Parallel, Precision, enumerate_layouts, memory_map
from sim.deployment.layout import divisors
from sim.metrics import SloSpec
from sim.planning.plan.light import LightSteps
from sim.planning.plan.traffic import Floats, Traffic

_GRID = np.linspace(0.0, 1.0, 24)
_REFINEMENTS = 2


@dataclass(frozen=True, slots=True)
class Bounds:
    """What requests are asked for, s; infinite where nothing is. `attainment` of all must meet it."""

    ttft: float
    tpot: float
    e2el: float
    attainment: float


@dataclass(frozen=True, slots=True)
class Layout:
    """One way to cut up the model, with the engine's limits."""

    parallel: Parallel
    precision: Precision
    max_num_seqs: int
    max_num_batched_tokens: int


@dataclass(frozen=True, slots=True)
class Screened:
    """A layout that may work: at most `rate` requests/s per replica, with `decodes` per rank at a time."""

    layout: Layout
    deployment: Deployment
    rate: float
    decodes: float


@dataclass(frozen=True, slots=True)
class Screening:
    """What screening left, best bound per chip first, and why the rest fell, by reason."""

    kept: tuple[Screened, ...]
    looked_at: int
    dropped: dict[str, int]


def layouts(template: Deployment, chips: int) -> Iterator[Parallel]:
    """Every layout of one replica on at most `chips` chips."""
    for count in replica_sizes(template, chips):
        yield from enumerate_layouts(
            template.model, count, template.precision.stored("experts"), template.redundant_experts
        )


def replica_sizes(template: Deployment, chips: int) -> list[int]:
    """Chips that a replica may take: parts of a server, whole servers."""
    cluster = template.cluster
    most = min(chips, cluster.chips)
    return [n for n in divisors(cluster.server) if n <= most] + list(
        range(2 * cluster.server, most + 1, cluster.server)
    )


def bounds(slo: SloSpec | None) -> Bounds:
    """The SLO's bounds; without one nothing is asked of single requests."""
    if slo is None:
        return Bounds(math.inf, math.inf, math.inf, 1.0)
    ttft, tpot, e2el = (math.inf if bound is None else bound for bound in (slo.ttft, slo.tpot, slo.e2el))
    return Bounds(ttft, tpot, e2el, slo.attainment)


def screen(templates: list[Deployment], load: Traffic, asked: Bounds, chips: int) -> Screening:
    """Bounds every layout of the templates.

    Args:
        templates: one deployment per precision and engine limits, in any layout.
        chips: the most that a replica may take.
    """
    kept: list[Screened] = []
    dropped: Counter[str] = Counter()
    looked_at = 0
    light: dict[Precision, LightSteps] = {}
    longest = float(np.quantile(load.prompt + load.output, asked.attainment))
    hardest = max(1, int(np.quantile(load.prompt, asked.attainment)))
    needs = _Needs(load, asked, longest, hardest)
    for template in templates:
        steps = light.setdefault(template.precision, LightSteps(template, load))
        for parallel in layouts(template, chips):
            looked_at += 1
            found = _screened(replace(template, parallel=parallel), steps, needs)
            if isinstance(found, str):
                dropped[found] += 1
            else:
                kept.append(found)
    kept.sort(key=lambda s: -s.rate / s.layout.parallel.chips)
    return Screening(tuple(kept), looked_at, dict(dropped))


@dataclass(frozen=True, slots=True)
class _Needs:
    """The load, its bounds, and the request at the quantile that must meet them: tokens in all, of prompt."""

    load: Traffic
    asked: Bounds
    longest: float
    hardest: int


def _screened(deployment: Deployment, steps: LightSteps, needs: _Needs) -> Screened | str:
    """The layout's bound, or why it cannot work."""
    load, asked = needs.load, needs.asked
    memory, parallel, engine = memory_map(deployment), deployment.parallel, deployment.engine
    if not memory.fits:
        return "does not fit into memory"
    if min(memory.longest_sequence, deployment.model.context) < needs.longest:
        return "KV cache too small for one sequence"
    held = memory.kv_blocks * memory.block_size / (load.context * load.fresh + memory.block_size)
    most = max(1.0, min(float(engine.max_num_seqs), held))
    decodes = _most_within(steps, parallel, most, asked.tpot)
    if decodes is None:
        return "light alone breaks TPOT"
    # a prompt whose beginning is cached starts later, so that its prefill has no such bound
    if load.fresh == 1.0 and steps.prefill(parallel, needs.hardest) > asked.ttft:
        return "light alone breaks TTFT"
    if math.isfinite(asked.e2el):
        fastest = float(steps.decode(parallel, np.array([1.0]))[0])
        if float(np.mean((load.output - 1) * fastest <= asked.e2el)) < asked.attainment:
            return "light alone breaks E2EL"
    least = float(steps.mixed(parallel, np.array([decodes]))[0])
    rate = parallel.dp * decodes / (load.decode_steps * least) / asked.attainment
    layout = Layout(parallel, deployment.precision, engine.max_num_seqs, engine.max_num_batched_tokens)
    return Screened(layout, deployment, rate, decodes)


def _most_within(steps: LightSteps, parallel: Parallel, most: float, tpot: float) -> float | None:
    """The most decodes per rank whose light stays within `tpot`, rounded up; None where one is too many."""
    low, high = 1.0, most
    for _ in range(_REFINEMENTS):
        grid: Floats = low * (high / low) ** _GRID
        within = steps.decode(parallel, grid) <= tpot
        if not within[0]:
            return None
        if within[-1]:
            return high
        last = int(np.flatnonzero(within)[-1])
        low, high = float(grid[last]), float(grid[last + 1])
    return high

"""The layouts that a plan looks at, and the optimistic bound that screens them.

A replica takes a divisor of a server's chips, or whole servers up to the cluster. Its bound, with n decodes
per attention-dp rank, as many as limits, KV cache and TPOT allow:

    requests/s of a replica ≤ dp · y · n / (decode steps of a request · mixed(n)) / attainment

`mixed` is the least mean time of a step that also takes in the requests that replace those that finish
(`sim.planning.plan.light`), y the mean tokens of a decode and step (1 without drafts), so no timer of this
project makes a replica faster. In a pool of its own a replica decodes without taking anything in, or computes
prompts only, dp / (least seconds of a rank per prompt) / attainment of them. A layout whose memory does not
hold it, or whose light alone breaks a bound of the SLO, is out.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from sim.deployment import Deployment, Parallel, Precision, enumerate_layouts, memory_map
from sim.deployment.layout import divisors
from sim.metrics import SloSpec
from sim.planning.plan.light import LightSteps
from sim.planning.plan.traffic import Floats, Traffic

_GRID = np.linspace(0.0, 1.0, 24)
_REFINEMENTS = 2
_LATE = "light alone breaks TTFT"

Role = Literal["both", "prefill", "decode"]
"""What a replica does: prompts and answers, or one of them in a pool of its own."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What requests are asked for, s; infinite where nothing is. `attainment` of all must meet it."""

    ttft: float
    tpot: float
    e2el: float
    attainment: float


@dataclass(frozen=True, slots=True)
class Layout:
    """One way to cut up the model, with the engine's limits and who drafts, as `--set` takes it."""

    parallel: Parallel
    precision: Precision
    max_num_seqs: int
    max_num_batched_tokens: int
    speculation: str = "null"


@dataclass(frozen=True, slots=True)
class Template:
    """A deployment in any layout, with its drafts as the scenario is told of them."""

    deployment: Deployment
    speculation: str = "null"


@dataclass(frozen=True, slots=True)
class Screened:
    """A layout that may work in a role: at most `rate` requests/s per replica, with `decodes` per rank at a
    time (0 where only prompts are computed)."""

    layout: Layout
    deployment: Deployment
    rate: float
    decodes: float
    role: Role = "both"


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


def screen(
    templates: Sequence[Template], load: Traffic, asked: Bounds, chips: int, role: Role = "both"
) -> Screening:
    """Bounds every layout of the templates.

    Args:
        templates: one per precision, engine limits and drafts.
        chips: the most that a replica may take.
    """
    kept: list[Screened] = []
    dropped: Counter[str] = Counter()
    looked_at = 0
    light: dict[tuple[Precision, str], LightSteps] = {}
    needs = _Needs(load, asked, role, *_hardest(load, asked, role))
    for template in templates:
        key = template.deployment.precision, template.speculation
        if key not in light:
            light[key] = LightSteps(template.deployment, load)
        for parallel in layouts(template.deployment, chips):
            looked_at += 1
            deployment = replace(template.deployment, parallel=parallel)
            found = _screened(deployment, light[key], needs)
            if isinstance(found, str):
                dropped[found] += 1
            else:
                kept.append(Screened(_layout(deployment, template.speculation), deployment, *found, role))
    kept.sort(key=lambda s: -s.rate / s.layout.parallel.chips)
    return Screening(tuple(kept), looked_at, dict(dropped))


def _layout(deployment: Deployment, speculation: str) -> Layout:
    engine = deployment.engine
    limits = engine.max_num_seqs, engine.max_num_batched_tokens
    return Layout(deployment.parallel, deployment.precision, *limits, speculation)


@dataclass(frozen=True, slots=True)
class _Needs:
    """The load, its bounds, the role, and the request at the quantile that must meet them: tokens that its
    cache holds at the end, and of its prompt."""

    load: Traffic
    asked: Bounds
    role: Role
    longest: float
    hardest: int


def _hardest(load: Traffic, asked: Bounds, role: Role) -> tuple[float, int]:
    held = load.prompt if role == "prefill" else load.prompt + load.output
    quantiles = (float(np.quantile(tokens, asked.attainment)) for tokens in (held, load.prompt))
    longest, prompt = quantiles
    return longest, max(1, int(prompt))


def _screened(deployment: Deployment, steps: LightSteps, needs: _Needs) -> tuple[float, float] | str:
    """The layout's bound (requests/s, decodes per rank), or why it cannot work."""
    load, asked, role = needs.load, needs.asked, needs.role
    memory, parallel = memory_map(deployment), deployment.parallel
    if not memory.fits:
        return "does not fit into memory"
    if min(memory.longest_sequence, deployment.model.context) < needs.longest:
        return "KV cache too small for one sequence"
    # a prompt whose beginning is cached starts later, so that its prefill has no such bound
    timely = role == "decode" or load.fresh < 1.0 or steps.prefill(parallel, needs.hardest) <= asked.ttft
    if role == "prefill":
        each = steps.prompts(parallel, deployment.engine.max_num_batched_tokens)
        return (parallel.dp / each / asked.attainment, 0.0) if timely else _LATE
    held = memory.kv_blocks * memory.block_size / (load.context * load.fresh + memory.block_size)
    most = max(1.0, min(float(deployment.engine.max_num_seqs), held))
    found = _decoding(deployment, steps, needs, most)
    return found if timely or isinstance(found, str) else _LATE


def _decoding(
    deployment: Deployment, steps: LightSteps, needs: _Needs, most: float
) -> tuple[float, float] | str:
    """As `_screened`, of a replica that decodes; `most`: decodes per rank that it may hold."""
    load, asked, parallel = needs.load, needs.asked, deployment.parallel
    yielded = deployment.mean_yield
    decodes = _most_within(steps, parallel, most, asked.tpot * yielded)
    if decodes is None:
        return "light alone breaks TPOT"
    if math.isfinite(asked.e2el):
        fastest = float(steps.decode(parallel, np.array([1.0]))[0]) / yielded
        if float(np.mean((load.output - 1) * fastest <= asked.e2el)) < asked.attainment:
            return "light alone breaks E2EL"
    step = steps.decode if needs.role == "decode" else steps.mixed
    least = float(step(parallel, np.array([decodes]))[0])
    return parallel.dp * yielded * decodes / (load.decode_steps * least) / asked.attainment, decodes


def _most_within(steps: LightSteps, parallel: Parallel, most: float, tpot: float) -> float | None:
    """The most decodes per rank whose step is by light within `tpot`, rounded up; None: not even one."""
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

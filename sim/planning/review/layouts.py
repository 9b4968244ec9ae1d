"""The same model in other layouts of its cluster: along each parallel size, and the best on so many chips."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from sim.deployment import Parallel, enumerate_layouts
from sim.deployment.layout import layout_problem
from sim.planning.plan.estimate import mean_step
from sim.planning.plan.space import replica_sizes
from sim.planning.review.machine import Machine, machine
from sim.planning.review.point import Point
from sim.planning.review.resources import bound_named
from sim.planning.sweep.axes import as_text
from sim.scenario.scenario import Scenario

MOST_CHIPS = 64
"""Of one replica whose layouts are all tried."""
_SIZES = tuple(2**k for k in range(7))


@dataclass(frozen=True, slots=True)
class LayoutSpeed:
    """A layout at the point; speeds as of `sim.planning.review.machine.Speed`, `bound` of its decode."""

    parallel: Parallel
    fits: bool
    tokens_per_s_per_user: float
    tokens_per_s_per_chip: float
    bound: str


@dataclass(frozen=True, slots=True)
class Layouts:
    """Attributes:
    along: "tp", "pp", "dp", "ep" → layouts that differ from the reviewed one in that size.
    fastest: for each number of chips, of those that fit the layout with most tokens/s per user.
    densest: likewise, with most tokens/s per chip.
    """

    along: Mapping[str, tuple[LayoutSpeed, ...]]
    fastest: tuple[LayoutSpeed, ...]
    densest: tuple[LayoutSpeed, ...]


def layouts(reviewed: Machine, point: Point) -> Layouts:
    """Scaling of the reviewed machine."""
    along = {
        name: tuple(layout_speed(reviewed.scenario, point, p) for p in _along(reviewed, name))
        for name in ("tp", "pp", "dp", "ep")
    }
    fastest: list[LayoutSpeed] = []
    densest: list[LayoutSpeed] = []
    for chips in _replica_sizes(reviewed):
        found = [f for f in _all_on(reviewed, point, chips) if f.fits]
        if found:
            fastest.append(max(found, key=lambda f: f.tokens_per_s_per_user))
            densest.append(max(found, key=lambda f: f.tokens_per_s_per_chip))
    return Layouts(along, tuple(fastest), tuple(densest))


def best_layout(scenario: Scenario, point: Point) -> Scenario:
    """The scenario in the layout that serves a user fastest, on as few chips as hold the point.

    Where none holds it: on as many chips as the cluster has.
    """
    template = machine(_in_layout(scenario, Parallel()))
    best: list[LayoutSpeed] = []
    for chips in _replica_sizes(template):
        found = list(_all_on(template, point, chips))
        best = [f for f in found if f.fits] or found or best
        if any(f.fits for f in best):
            break
    return _in_layout(scenario, max(best, key=lambda f: f.tokens_per_s_per_user).parallel)


def layout_speed(scenario: Scenario, point: Point, parallel: Parallel) -> LayoutSpeed:
    """One layout, priced."""
    found = machine(_in_layout(scenario, parallel))
    decode = found.phase([found.decode_step(point.batch, point.context)])
    most = found.largest_batch(point.context)
    n = found.per_rank(min(point.batch, most) if most else point.batch)
    step = mean_step(found.timer, point.load, n, lambda batch: float(found.timer.durations(batch)[0]))
    each = found.timer.deployment.mean_yield
    return LayoutSpeed(
        parallel,
        point.batch <= most,
        each / decode.seconds,
        each * n * parallel.dp / step / parallel.chips,
        bound_named(found, decode.causes),
    )


def _in_layout(scenario: Scenario, parallel: Parallel) -> Scenario:
    sizes = {name: getattr(parallel, name) for name in Parallel.__dataclass_fields__}
    return scenario.changed([f"deployment.parallel={as_text(sizes)}", "deployment.replicas=1"])


def _all_on(reviewed: Machine, point: Point, chips: int) -> Iterator[LayoutSpeed]:
    deployment = reviewed.deployment
    for parallel in enumerate_layouts(deployment.model, chips, deployment.precision.stored("experts")):
        yield layout_speed(reviewed.scenario, point, parallel)


def _replica_sizes(reviewed: Machine) -> list[int]:
    return sorted(replica_sizes(reviewed.deployment, MOST_CHIPS))


def _along(reviewed: Machine, name: str) -> Iterator[Parallel]:
    """Layouts in which one size is another; experts stay spread over all ranks where they are so now."""
    deployment = reviewed.deployment
    now = deployment.parallel
    spread = now.ep > 1 and now.ep == now.tp * now.dp
    for size in _SIZES:
        other = replace(now, **{name: size})
        if spread and name in ("tp", "dp"):
            other = replace(other, ep=other.tp * other.dp)
        stored = deployment.precision.stored("experts")
        if other.chips <= deployment.cluster.chips and not layout_problem(deployment.model, other, stored):
            yield other

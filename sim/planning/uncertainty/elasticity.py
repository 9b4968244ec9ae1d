"""Elasticities: what a tenth more of each resource does to an output, and where another resource takes over.

    elasticity = ln(output with 10 % more / output) / ln 1.1

A resource that bounds the run is scaled further, up to 16 times, until another one takes most of busy time.
Resources are what a next chip could have more of: arithmetic (matrix, vector and special-function rates and
what feeds them), memory bandwidth (with the reads in flight that it needs), the links of each tier, and
shorter launches of kernels.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sim.planning.evaluate import Task
from sim.planning.identity import canonical
from sim.planning.outputs import Output
from sim.scenario.scenario import Scenario

MORE = 1.1
FURTHER = (1.25, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0)
"""Factors at which the next bottleneck is looked for."""
Record = Mapping[str, object] | None


@dataclass(frozen=True, slots=True)
class Resource:
    """Something a chip or cluster may have more of: its name, the cause of time that it shortens (as in
    `bound_by`), and the paths that scale with it; `inverse` ones are times, which fall."""

    name: str
    bound: str
    paths: tuple[str, ...]
    inverse: bool = False

    def sets(self, factor: float) -> list[str]:
        """What scales it."""
        return [f"{path}=x{1 / factor if self.inverse else factor:.9g}" for path in self.paths]


@dataclass(frozen=True, slots=True)
class Elasticity:
    """What 10 % more of a resource does.

    Attributes:
        change: of the output, relative; elasticity: of its logarithm.
        takes_over: factor from which `then` bounds the run; None where the resource does not bound it, or
            still does at the largest factor tried.
    """

    factor: str
    change: float
    elasticity: float
    binds: bool
    takes_over: float | None
    then: str

    def words(self, output: Output) -> str:
        """'HBM bandwidth +10 % → TPOT, 99 % −6.0 %; from × 2 on compute-bound'."""
        said = f"{self.factor} +10 % → {output.title} {100 * self.change:+.1f} %".replace("-", "−")
        if self.takes_over is not None:
            return f"{said}; from × {self.takes_over:g} on {self.then}-bound"
        return f"{said}; still {self.then}-bound at × {FURTHER[-1]:g}" if self.binds else said


def resources(scenario: Scenario) -> tuple[Resource, ...]:
    """Those of a scenario's cluster."""
    cluster = scenario.spec.cluster
    chip = cluster.chip
    rates = ["compute.vector_flops", "compute.exp_rate", "sram.bandwidth"]
    rates += [f"compute.peak.{dtype}" for dtype in chip.compute.peak]
    launches = [
        f"cluster.chip.kernels.{name}" for name in type(chip.kernels).model_fields if name.endswith("_launch")
    ]
    return (
        Resource("arithmetic", "compute", tuple(f"cluster.chip.{rate}" for rate in rates)),
        Resource(
            "HBM bandwidth", "hbm", tuple(f"cluster.chip.memory.{n}" for n in ("bandwidth", "outstanding"))
        ),
        *_links(scenario),
        Resource("speed of launches", "launch", (*launches, "cluster.chip.dispatch.gap"), inverse=True),
    )


def _links(scenario: Scenario) -> Iterator[Resource]:
    for place, tier in enumerate(scenario.spec.cluster.tiers):
        if tier.behind:
            continue
        path = (
            f"cluster.chip.links.{tier.name}"
            if tier.bandwidth is None
            else f"cluster.tiers.{place}.bandwidth"
        )
        yield Resource(f"{tier.name} bandwidth", "link", (path,))


def tasks(scenario: Scenario, resource: Resource, factors: Sequence[float], first: int) -> list[Task]:
    """One run of the scenario per factor, numbered from `first`."""
    found: list[Task] = []
    for number, factor in enumerate(factors, first):
        changed = scenario.changed(resource.sets(factor))
        found.append(Task(str(number), canonical(changed.tree), str(changed.base.resolve()), changed.name))
    return found


def elasticity(
    resource: Resource, output: Output, base: Mapping[str, object], more: Record, further: Sequence[Record]
) -> Elasticity:
    """What the runs say of a resource.

    Args:
        base: the run as it is; more: with `MORE` of the resource; further: with each of `FURTHER`, where it
            bounds the run.
    """
    value = output.of(base)
    moved = None if more is None else output.of(more)
    ratio = moved / value if moved and value else math.nan
    bound = str(base.get("bound_by"))
    known = [(f, str(r["bound_by"])) for f, r in zip(FURTHER, further, strict=False) if r is not None]
    over = next(((f, then) for f, then in known if then != bound), None)
    each = math.log(ratio) / math.log(MORE) if ratio > 0 else math.nan
    takes_over, then = (None, bound) if over is None else over
    return Elasticity(resource.name, ratio - 1.0, each, bound == resource.bound, takes_over, then)

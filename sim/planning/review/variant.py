"""A machine with some resources stronger or weaker, judged by a target: the one function that is inverted.

Single steps price what the target asks of them; a target on money, energy or throughput takes a simulated
run. There a chip's price follows its resources (`resources.relative_cost`).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from sim.planning.review.machine import Machine, machine
from sim.planning.review.point import Point
from sim.planning.review.resources import all_sets, bound_named, relative_cost
from sim.planning.review.served import served
from sim.planning.review.target import Target


@dataclass(frozen=True, slots=True)
class Variant:
    """Attributes:
    values: metric → value, NaN where it is not known; margin: of the target.
    bound: the resource that takes most of the time that the target is about.
    """

    values: Mapping[str, float]
    margin: float
    bound: str

    @property
    def meets(self) -> bool:
        """Whether the target is met."""
        return self.margin >= 0


@dataclass(frozen=True, slots=True)
class Judge:
    """A target at a point, asked of variants of one machine."""

    base: Machine
    point: Point
    target: Target

    def of(self, strengths: Mapping[str, float]) -> Variant:
        """The machine with its resources at these strengths."""
        changed = machine(self.base.scenario.changed(all_sets(self.base, strengths)))
        values: dict[str, float] = {}
        causes: Mapping[str, float] = {}
        asked = {bound.metric.name for bound in self.target.bounds}
        if asked & {"ttft", "prompt tokens/s/chip"}:
            prefill = changed.phase(changed.prefill_steps(self.point.prompt))
            values["ttft"], causes = prefill.seconds, prefill.causes
            values["prompt tokens/s/chip"] = changed.prompt_rate(self.point, prefill.seconds)
        if "tokens/s/user" in asked:
            decode = changed.phase([changed.decode_step(self.point.batch, self.point.context)])
            values["tokens/s/user"] = changed.timer.deployment.mean_yield / decode.seconds
            causes = decode.causes
        if self.target.level == "served":
            run = served(changed, self.point, relative_cost(strengths))
            values["tokens/s/chip"] = math.nan if run is None else run.tokens_per_s_per_chip
            values["usd/M tokens"] = math.nan if run is None else run.usd_per_million
            values["J/token"] = math.nan if run is None else run.joules
            causes = causes if run is None else run.causes
        return Variant(values, self.target.margin(values), bound_named(changed, causes))

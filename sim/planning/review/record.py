"""A review as plain data."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from sim.planning.review.layouts import LayoutSpeed
from sim.planning.review.machine import Machine, Phase, Speed
from sim.planning.review.maps import Cell
from sim.planning.review.requirements import Alone, Requirement
from sim.planning.review.resources import BY_NAME, CAPACITY, RESOURCES, Resource, all_sets
from sim.planning.review.variant import Variant
from sim.planning.review.variation import Variation
from sim.planning.review.verdict import bound_of, verdict
from sim.version import __version__

if TYPE_CHECKING:
    from sim.planning.review.review import Review

LEVELS = {
    "step": "single steps priced one by one, prompts and decodes of means; no queues",
    "served": "a simulated load: the point's users in a closed loop",
}


def record(review: "Review") -> dict[str, object]:
    """The review's JSON, the verdict first; SI units."""
    machine, other = review.machine, review.reference
    return {
        "schema": 1,
        "version": __version__,
        "verdict": list(verdict(review)),
        "levels": LEVELS,
        "machine": _machine(machine),
        "point": asdict(review.point) | {"context": review.point.context},
        "step": _speed(review.speed)
        | {phase: _phase(getattr(review.speed, phase)) for phase in ("decode", "prefill")}
        | {"decode_bound_by": bound_of(review, "decode"), "prefill_bound_by": bound_of(review, "prefill")},
        "served": None if review.served is None else asdict(review.served),
        "reference": None
        if other is None
        else _machine(other.machine)
        | {"step": _speed(other.speed), "served": None if other.served is None else asdict(other.served)},
        "sureness": {
            "samples": review.sureness.samples,
            "tokens_per_s_per_user": asdict(review.sureness.per_user),
            "tokens_per_s_per_chip": asdict(review.sureness.per_chip),
            "prefill_s": asdict(review.sureness.prefill),
            "influences": [asdict(i) | {"swing": i.swing} for i in review.sureness.influences],
        },
        "memory": {
            "least_capacity": None if review.capacity is None else _at(machine, CAPACITY, review.capacity),
            "needed": machine.memory.tightest.needed,
            "usable": machine.memory.tightest.usable,
            "largest_batch_by_context": {str(c): b for c, b in review.maps.largest.items()},
        },
        "binding": [_cell(cell) for cell in review.maps.cells],
        "by_batch": [_cell(cell) for cell in review.maps.by_batch],
        "by_context": [_cell(cell) for cell in review.maps.by_context],
        "layouts": {
            "along": {name: [_layout(f) for f in found] for name, found in review.layouts.along.items()},
            "fastest": [_layout(f) for f in review.layouts.fastest],
            "densest": [_layout(f) for f in review.layouts.densest],
        },
        "variations": [_variation(v) for v in review.variations],
        "weights": {r.name: _weight(r.name) for r in RESOURCES},
        "requirements": [_requirement(r) for r in review.requirements],
        "assumptions": [asdict(a) for a in machine.assumptions],
    }


def _machine(machine: Machine) -> dict[str, object]:
    deployment = machine.deployment
    return {
        "model": deployment.model.name,
        "cluster": deployment.cluster.name,
        "parallel": asdict(deployment.parallel),
        "precision": asdict(deployment.precision),
        "engine": deployment.engine.family,
    }


def _speed(speed: Speed) -> dict[str, object]:
    return {
        "fits": speed.fits,
        "decode_s": speed.decode.seconds,
        "decode_light_s": speed.decode.light,
        "prefill_s": speed.prefill.seconds,
        "prefill_light_s": speed.prefill.light,
        "tokens_per_s_per_user": speed.tokens_per_s_per_user,
        "tokens_per_s_per_chip": speed.tokens_per_s_per_chip,
        "prefill_tokens_per_s_per_chip": speed.prefill_tokens_per_s_per_chip,
        "light_tokens_per_s_per_user": speed.light_per_user,
        "light_tokens_per_s_per_chip": speed.light_per_chip,
    }


def _phase(phase: Phase) -> dict[str, object]:
    return {
        "seconds": phase.seconds,
        "light_s": phase.light,
        "by_resource_s": dict(phase.causes),
        "energy_by_group_j": dict(phase.energy),
    }


def _cell(cell: Cell) -> dict[str, object]:
    return {
        "batch": cell.batch,
        "context": cell.context,
        "fits": cell.fits,
        "tokens_per_s_per_user": cell.tokens_per_s_per_user,
        "bound_by": cell.bound,
        "by_resource_s": dict(cell.phase.causes),
    }


def _layout(found: LayoutSpeed) -> dict[str, object]:
    return {"chips": found.parallel.chips, **asdict(found)}


def _variation(variation: Variation) -> dict[str, object]:
    return {
        "name": variation.name,
        "now": variation.now,
        "varied": [{"factor": v.factor} | _speed(v.speed) for v in variation.varied],
    }


def _weight(name: str) -> dict[str, object]:
    weight = BY_NAME[name].weight
    return {"value": weight.value, "low": weight.low, "high": weight.high, "basis": weight.basis,
            "source": weight.source}  # fmt: skip


def _requirement(required: Requirement) -> dict[str, object]:
    together = required.together
    return {
        "target": required.target.text,
        "level": required.target.level,
        "bounds": [{"metric": b.metric.name, "value": b.value} for b in required.target.bounds],
        "presumed_capacity": required.capacity,
        "now": _variant(required.now),
        "alone": [_alone(one, required) for one in required.alone],
        "together": {
            "strengths": dict(together.strengths),
            "sets": all_sets(required.machine, together.strengths),
            "relative_cost": together.cost,
            **_variant(together.variant),
        },
    }


def _at(machine: Machine, resource: Resource, strength: float) -> dict[str, object]:
    return {
        "strength": strength,
        "value": resource.at(machine, strength),
        "text": resource.text(machine, strength),
        "sets": resource.sets(machine, strength),
    }


def _alone(one: Alone, required: Requirement) -> dict[str, object]:
    tested: list[dict[str, object]] = [
        {"strength": s, "value": one.resource.at(required.machine, s), **_variant(v)}
        for s, v in zip(one.strengths, one.variants, strict=True)
    ]
    return {
        "resource": one.resource.name,
        "now": one.resource.at(required.machine, 1.0),
        "least": None if one.least is None else _at(required.machine, one.resource, one.strengths[one.least]),
        "interval": one.interval,
        "taken_over": None
        if one.takeover is None
        else _at(required.machine, one.resource, one.strengths[one.takeover])
        | {"by": one.variants[one.takeover].bound},
        "tested": tested,
    }


def _variant(variant: Variant) -> Mapping[str, object]:
    return {"values": dict(variant.values), "meets": variant.meets, "bound_by": variant.bound}

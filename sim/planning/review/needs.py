"""What a target takes, in words."""

import math
from collections.abc import Mapping

from sim.planning.review.requirements import Alone, Requirement
from sim.planning.review.resources import BY_NAME, CAPACITY, Resource
from sim.planning.review.target import Metric
from sim.planning.review.variant import Variant
from sim.units import NUMBER, show

BOUNDS: Mapping[str, str] = {
    "hbm": "HBM reads", "matrix": "the matrix engines", "vector": "the vector engines",
    "compute": "the arithmetic engines", "array": "padding of the matrix array",
    "link": "the links", "launch": "kernel launches",
    "host": "host costs", "imbalance": "busy expert ranks", "bubble": "pipeline bubbles",
}  # fmt: skip
"""What takes time, in words."""


def figure(value: float) -> str:
    """Three significant digits; whole from a hundred on."""
    if math.isnan(value):
        return "unknown"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def needs(required: Requirement) -> str:
    """What one target takes."""
    target, now = required.target, _said(required.now, required)
    if required.now.meets:
        spare = [_spare(one, required) for one in required.alone if one.least is not None]
        kept = ", ".join(text for text in spare if text)
        return f"{target.text}: met, {now}." + (f" It still is, one at a time, with {kept}." if kept else "")
    told = [one for one in required.alone if one.least is not None or one.gives_way]
    never = ", ".join(one.resource.title for one in required.alone if one not in told)
    sentences = [f"{target.text}: now {now}.", *(alone(one, required) for one in told)]
    if never:
        sentences.append(f"Alone never: {never}.")
    return " ".join([*sentences, _combined(required)])


def alone(one: Alone, required: Requirement) -> str:
    """What one resource has to be, in a sentence."""
    resource = one.resource

    def at(strength: float) -> str:
        return f"{resource.text(required.machine, strength)} ({times(resource, strength)})"

    hole = (
        "" if one.interval else "; some weaker ones meet it too, some between do not: the set is no interval"
    )
    if one.least is None:
        said = f"{resource.title} alone never reaches it, up to {at(one.strengths[-1])}"
    else:
        said = f"{resource.title} alone from {at(one.strengths[one.least])}"
    return f"{said}{hole}{taken_over(one, required)}."


def taken_over(one: Alone, required: Requirement) -> str:
    """From where on another resource takes most of the time; empty where none takes over from this one."""
    if one.takeover is None:
        return ""
    by = BOUNDS[one.variants[one.takeover].bound]
    if one.strengths[one.takeover] <= 1.0:
        return f"; {by} bind already"
    return f"; from {one.resource.text(required.machine, one.strengths[one.takeover])} on {by} bind"


def _spare(one: Alone, required: Requirement) -> str:
    """How weak a resource may become while the target is met."""
    strength = one.strengths[one.least or 0]
    if strength >= 1.0:
        return ""
    return f"{one.resource.title} {one.resource.text(required.machine, strength)}"


def _combined(required: Requirement) -> str:
    together = required.together
    said = _said(together.variant, required)
    if not together.variant.meets:
        by = BOUNDS[together.variant.bound]
        return f"No tested combination reaches it: the best comes to {said}; {by} bind."
    strengths = together.strengths
    if required.capacity > 1.0 and CAPACITY.name not in strengths:
        strengths = {CAPACITY.name: 1.0, **strengths}
    chosen = ", ".join(_chosen(BY_NAME[name], strength, required) for name, strength in strengths.items())
    return (
        f"Cheapest combination found: {chosen}, at {together.cost:.2f} times the price of a chip by assumed "
        f"weights; it comes to {said}."
    )


def _chosen(resource: Resource, strength: float, required: Requirement) -> str:
    """A resource of a combination, its factor that on the reviewed machine."""
    whole = strength * required.capacity if resource is CAPACITY else strength
    return f"{resource.title} {resource.text(required.machine, strength)} ({times(resource, whole)})"


def times(resource: Resource, strength: float) -> str:
    """The factor on a resource's figure."""
    factor = 1.0 / strength if resource.time else strength
    return f"× {factor:.3g}"


def _said(variant: Variant, required: Requirement) -> str:
    return ", ".join(f"{b.metric.name} {amount(variant.values, b.metric)}" for b in required.target.bounds)


def amount(values: Mapping[str, float], metric: Metric) -> str:
    """A metric's value in words."""
    value = values.get(metric.name, math.nan)
    return figure(value) if math.isnan(value) or metric.dimension is NUMBER else show(value, metric.dimension)

"""A review in plain words: does it fit, how fast, what binds, what decides it, what it would take.

Every sentence says what it comes from: single steps (priced one by one) or a simulated load.
"""

from collections.abc import Iterator, Mapping

from sim.planning.review.requirements import Alone, Requirement
from sim.planning.review.resources import BY_NAME, Resource, bound_named
from sim.planning.review.review import Review
from sim.units import BYTES, TIME, show

BOUNDS: Mapping[str, str] = {
    "hbm": "HBM", "matrix": "the matrix engines", "vector": "the vector engines", "compute": "arithmetic",
    "link": "the links", "launch": "kernel launches", "host": "the host",
    "imbalance": "the busiest expert rank", "bubble": "the pipeline's bubble",
}  # fmt: skip
"""What takes time, in words."""
_NEGLIGIBLE = 0.1
"""Share of a phase from which on a resource is named."""


def verdict(review: Review) -> tuple[str, ...]:
    """The sentences, in the order of what matters."""
    return (
        _fit(review),
        *_speeds(review),
        _binds(review),
        *_decides(review),
        *_against(review),
        *_money(review),
        *(sentence for required in review.requirements for sentence in needs(required)),
    )


def figure(value: float) -> str:
    """Three significant digits; whole from a hundred on."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _fit(review: Review) -> str:
    machine, point = review.machine, review.point
    name, cluster = machine.deployment.model.name, machine.deployment.cluster.name
    stage, most = machine.memory.tightest, machine.largest_batch(point.context)
    need = f"{show(stage.needed, BYTES)} of {show(stage.usable, BYTES)} usable bytes of a chip"
    if review.speed.fits:
        return (
            f"{name} fits on {machine.deployment.parallel.chips} chips of {cluster}: weights and activations take "
            f"{need}; of sequences of {point.context:,} tokens {most:,} fit at once, asked are {point.batch:,}."
        )
    what = "the model" if most == 0 else f"a batch of {point.batch:,}"
    kept = "" if most == 0 else f"; {most:,} sequences fit"
    return (
        f"{what[:1].upper()}{what[1:]} does not fit: {name} takes {need} on "
        f"{machine.deployment.parallel.chips} chips of {cluster}{kept}. Speeds of single steps below presume "
        "memory that holds it."
    )


def _speeds(review: Review) -> Iterator[str]:
    speed, sure, point = review.speed, review.sureness, review.point
    yield (
        f"Single steps at {point.batch:,} users and {point.context:,} tokens of context: "
        f"{figure(speed.tokens_per_s_per_user)} tokens/s per user (P10 to P90 {figure(sure.per_user.p10)} to "
        f"{figure(sure.per_user.p90)}; speed of light {figure(speed.light_per_user)}) and "
        f"{figure(speed.tokens_per_s_per_chip)} tokens/s per chip with prompts taken in "
        f"({figure(sure.per_chip.p10)} to {figure(sure.per_chip.p90)}; light {figure(speed.light_per_chip)})."
    )
    yield (
        f"A prompt of {point.prompt:,} tokens takes {show(speed.prefill.seconds, TIME)} alone "
        f"({show(sure.prefill.p10, TIME)} to {show(sure.prefill.p90, TIME)}; light "
        f"{show(speed.prefill.light, TIME)})."
    )
    if not sure.per_user.p10 <= speed.tokens_per_s_per_user <= sure.per_user.p90:
        side = "above" if speed.tokens_per_s_per_user > sure.per_user.p90 else "below"
        yield (
            f"The estimate lies {side} that band: most ranges reach further to the other side of their value."
        )


def _binds(review: Review) -> str:
    phases = {"decode": review.speed.decode, "prefill": review.speed.prefill}
    return " ".join(
        f"{phase[:1].upper()}{phase[1:]} waits for {_shares(review, found.causes)}."
        for phase, found in phases.items()
    )


def _shares(review: Review, causes: Mapping[str, float]) -> str:
    total = sum(causes.values())
    links = {tier.name for tier in review.machine.deployment.cluster.tiers}
    merged: dict[str, float] = {}
    for cause, seconds in causes.items():
        name = "link" if cause in links else cause
        merged[name] = merged.get(name, 0.0) + seconds / total
    named = [name for name in sorted(merged, key=lambda n: -merged[n]) if merged[name] >= _NEGLIGIBLE]
    return ", ".join(f"{BOUNDS[name]} ({100 * merged[name]:.0f} %)" for name in named)


def _decides(review: Review) -> Iterator[str]:
    ranked = sorted(review.sureness.influences, key=lambda i: -i.swing)
    if not ranked:
        return
    first = ranked[0]
    yield (
        f"What decides it: {first.name}, {first.text} ({first.basis}), moves a user's tokens/s from "
        f"{figure(min(first.per_user))} to {figure(max(first.per_user))} and the prompt from "
        f"{show(min(first.prefill), TIME)} to {show(max(first.prefill), TIME)}"
        + "".join(f"; then {other.name} ({other.basis})" for other in ranked[1:3])
        + "."
    )
    weak = sum(i.weak for i in ranked)
    yield f"{weak} of the {len(ranked)} uncertain figures are assumption, estimate, press or unstated."


def _against(review: Review) -> Iterator[str]:
    other = review.reference
    if other is None:
        return
    chips, speed = other.machine.deployment.parallel.chips, review.speed
    prefill = speed.prefill_tokens_per_s_per_chip / other.speed.prefill_tokens_per_s_per_chip
    chip = speed.tokens_per_s_per_chip / other.speed.tokens_per_s_per_chip
    user = speed.tokens_per_s_per_user / other.speed.tokens_per_s_per_user
    yield (
        f"Against {chips} chips of {other.name}: {figure(user)} times its tokens/s per user, {figure(chip)} "
        f"times its tokens/s per chip, {figure(prefill)} times its prompt tokens/s per chip (single steps)."
    )


def _money(review: Review) -> Iterator[str]:
    run, other = review.served, review.reference
    if run is None:
        return
    yield (
        f"Simulated load of {review.point.batch:,} users in a closed loop: {figure(run.tokens_per_s_per_chip)} "
        f"tokens/s per chip, {figure(run.tokens_per_s_per_user)} per user, first token within "
        f"{show(run.p99_ttft, TIME)} for 99 %, {figure(run.joules)} J and "
        f"{figure(run.usd_per_million)} USD per million output tokens, chips owned"
        + (
            ""
            if other is None or other.served is None
            else f"; {other.name}: {figure(other.served.tokens_per_s_per_chip)}, "
            f"{figure(other.served.tokens_per_s_per_user)}, {show(other.served.p99_ttft, TIME)}, "
            f"{figure(other.served.joules)} J, {figure(other.served.usd_per_million)} USD"
        )
        + "."
    )


def needs(required: Requirement) -> Iterator[str]:
    """What one target takes, in sentences."""
    target, together = required.target, required.together
    yield f"Target: {target.text} ({_said(required.now.values, required)} now)."
    if required.now.meets:
        yield "It is met."
    elif together.variant.meets:
        chosen = ", ".join(
            f"{resource.title} {resource.text(required.machine, strength)} ({_times(resource, strength)})"
            for name, strength in together.strengths.items()
            for resource in (BY_NAME[name],)
        )
        yield (
            f"Cheapest combination found: {chosen}, at {together.cost:.2f} times the price of the chip by the "
            f"assumed weights; it comes to {_said(together.variant.values, required)}."
        )
    else:
        yield (
            f"No tested combination reaches it; the best comes to {_said(together.variant.values, required)}, "
            f"where {BOUNDS.get(together.variant.bound, together.variant.bound)} takes most of the time."
        )
    for one in required.alone:
        yield alone(one, required)


def alone(one: Alone, required: Requirement) -> str:
    """What one resource has to be, in a sentence."""
    resource, machine = one.resource, required.machine
    first, last = (resource.text(machine, one.strengths[i]) for i in (0, -1))
    hole = "" if one.interval else "; weaker ones meet here and there too, the set is no interval"
    if one.least is None:
        said = f"{resource.title} alone never reaches it, up to {last}{hole}"
    elif one.least == 0:
        said = f"{resource.title} alone would do from {first} on, the weakest tested"
    else:
        strength = one.strengths[one.least]
        said = f"{resource.title} alone: {resource.text(machine, strength)} ({_times(resource, strength)}){hole}"
    if one.takeover is None or (one.least is not None and one.takeover > one.least):
        return f"{said}."
    place = resource.text(machine, one.strengths[one.takeover])
    by = one.variants[one.takeover].bound
    return f"{said}; from {place} on {BOUNDS.get(by, by)} takes most of the time."


def _times(resource: Resource, strength: float) -> str:
    factor = 1.0 / strength if resource.time else strength
    return f"× {factor:.3g}"


def _said(values: Mapping[str, float], required: Requirement) -> str:
    return ", ".join(
        f"{bound.metric.name} {show(values[bound.metric.name], bound.metric.dimension)}"
        if bound.metric.dimension is TIME
        else f"{bound.metric.name} {figure(values[bound.metric.name])}"
        for bound in required.target.bounds
    )


def bound_of(review: Review, phase: str) -> str:
    """What takes most of "decode" or "prefill"."""
    found = review.speed.decode if phase == "decode" else review.speed.prefill
    return bound_named(review.machine, found.causes)

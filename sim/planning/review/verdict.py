"""A review in plain words: does it fit, how fast, what binds, what decides it, what it would take.

Every sentence says what it comes from: single steps (priced one by one) or a simulated load.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from sim.deployment import Parallel
from sim.planning.review.needs import BOUNDS, figure, needs
from sim.planning.review.requirements import HOLDING
from sim.planning.review.resources import CAPACITY, bound_named
from sim.planning.review.served import Served
from sim.units import BYTES, TIME, show

if TYPE_CHECKING:
    from sim.planning.review.review import Review

_WORTH_SAYING = 0.03
"""How much faster another layout must be to be named."""
_NEGLIGIBLE = 0.1
"""Share of a phase from which on a resource is named."""


def verdict(review: "Review") -> tuple[str, ...]:
    """The sentences, in the order of what matters."""
    return (
        _fit(review),
        *_speeds(review),
        _binds(review),
        *_decides(review),
        *_against(review),
        *_money(review),
        *_scaling(review),
        *(needs(required) for required in review.requirements),
    )


def _fit(review: "Review") -> str:
    machine, point = review.machine, review.point
    name, cluster = machine.deployment.model.name, machine.deployment.cluster.name
    stage, most = machine.memory.tightest, machine.largest_batch(point.context)
    need = f"{show(stage.needed, BYTES)} of {show(stage.usable, BYTES)} that a chip may use"
    if review.speed.fits:
        return (
            f"{name} fits on {counted(machine.deployment.parallel.chips)} of {cluster}: weights and "
            f"activations take {need}; {most:,} sequences of {point.context:,} tokens fit at once, "
            f"{point.batch:,} are asked."
        )
    what = "the model" if most == 0 else f"a batch of {point.batch:,}"
    kept = "" if most == 0 else f"; {most:,} sequences fit"
    return (
        f"{what[:1].upper()}{what[1:]} does not fit: {name} takes {need} on "
        f"{counted(machine.deployment.parallel.chips)} of {cluster}{kept}. {_capacity(review)} Speeds of "
        "single steps below presume memory that holds it."
    )


def _capacity(review: "Review") -> str:
    if review.capacity is None:
        return f"Not even {HOLDING[-1]:g} times the capacity would hold it."
    text = CAPACITY.text(review.machine, review.capacity)
    return f"A chip of {text} (× {review.capacity:.3g}) would hold it."


def _speeds(review: "Review") -> Iterator[str]:
    speed, sure, point = review.speed, review.sureness, review.point
    yield (
        f"Single steps at {point.batch:,} users and {point.context:,} tokens of context: "
        f"{figure(speed.tokens_per_s_per_user)} tokens/s per user (P10 to P90 {figure(sure.per_user.p10)} to "
        f"{figure(sure.per_user.p90)}; speed of light {figure(speed.light_per_user)}) and "
        f"{figure(speed.tokens_per_s_per_chip)} tokens/s per chip with prompts taken in "
        f"({figure(sure.per_chip.p10)} to {figure(sure.per_chip.p90)}; light {figure(speed.light_per_chip)})."
    )
    dp = review.machine.deployment.parallel.dp
    alone = "alone" if dp == 1 else f"where each of {dp} attention-dp ranks takes one"
    yield (
        f"A prompt of {point.prompt:,} tokens takes {show(speed.prefill.seconds, TIME)} {alone} "
        f"({show(sure.prefill.p10, TIME)} to {show(sure.prefill.p90, TIME)}; light "
        f"{show(speed.prefill.light, TIME)})."
    )
    if not sure.per_user.p10 <= speed.tokens_per_s_per_user <= sure.per_user.p90:
        side = "above" if speed.tokens_per_s_per_user > sure.per_user.p90 else "below"
        yield (
            f"The estimate lies {side} that band: most ranges reach further to the other side of their value."
        )


def _binds(review: "Review") -> str:
    phases = {"decode": review.speed.decode, "prefill": review.speed.prefill}
    return " ".join(
        f"{phase[:1].upper()}{phase[1:]} waits for {_shares(review, found.causes)}."
        for phase, found in phases.items()
    )


def _shares(review: "Review", causes: Mapping[str, float]) -> str:
    total = sum(causes.values())
    links = {tier.name for tier in review.machine.deployment.cluster.tiers}
    merged: dict[str, float] = {}
    for cause, seconds in causes.items():
        name = "link" if cause in links else cause
        merged[name] = merged.get(name, 0.0) + seconds / total
    named = [name for name in sorted(merged, key=lambda n: -merged[n]) if merged[name] >= _NEGLIGIBLE]
    return ", ".join(f"{BOUNDS[name]} ({100 * merged[name]:.0f} %)" for name in named)


def _decides(review: "Review") -> Iterator[str]:
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


def _against(review: "Review") -> Iterator[str]:
    other = review.reference
    if other is None:
        return
    chips, speed = other.machine.deployment.parallel.chips, review.speed
    prefill = speed.prefill_tokens_per_s_per_chip / other.speed.prefill_tokens_per_s_per_chip
    chip = speed.tokens_per_s_per_chip / other.speed.tokens_per_s_per_chip
    user = speed.tokens_per_s_per_user / other.speed.tokens_per_s_per_user
    yield (
        f"Against {counted(chips)} of {other.name}: {figure(user)} times its tokens/s per user, "
        f"{figure(chip)} times its tokens/s per chip, {figure(prefill)} times its prompt tokens/s per chip "
        "(single steps)."
    )


def _scaling(review: "Review") -> Iterator[str]:
    chips, own = review.machine.deployment.parallel.chips, review.speed.tokens_per_s_per_user
    for found in review.layouts.fastest:
        if found.parallel.chips == chips and found.tokens_per_s_per_user > own * (1.0 + _WORTH_SAYING):
            yield (
                f"On as many chips {described(found.parallel)} serves a user faster: "
                f"{figure(found.tokens_per_s_per_user)} tokens/s (single steps)."
            )


def counted(chips: int) -> str:
    """'8 chips'."""
    return "1 chip" if chips == 1 else f"{chips} chips"


def described(parallel: Parallel) -> str:
    """'tp 1, dp 8, ep 2'."""
    sizes = {name: getattr(parallel, name) for name in ("tp", "pp", "dp", "ep")}
    return ", ".join(f"{name} {size}" for name, size in sizes.items() if size > 1 or name == "tp")


def _money(review: "Review") -> Iterator[str]:
    run, other = review.served, review.reference
    if run is None:
        return
    beside = "" if other is None or other.served is None else f"; {other.name}: {_load(other.served)}"
    yield (
        f"Simulated load of {review.point.batch:,} users in a closed loop, per chip and per user, 99th "
        f"percentile of the first token, per output token and per million of them, chips owned: "
        f"{_load(run)}{beside}."
    )


def _load(run: Served) -> str:
    return (
        f"{figure(run.tokens_per_s_per_chip)} and {figure(run.tokens_per_s_per_user)} tokens/s, "
        f"{show(run.p99_ttft, TIME)}, {figure(run.joules)} J, {figure(run.usd_per_million)} USD"
    )


def bound_of(review: "Review", phase: str) -> str:
    """What takes most of "decode" or "prefill"."""
    found = review.speed.decode if phase == "decode" else review.speed.prefill
    return bound_named(review.machine, found.causes)

"""The page of an architecture review: the verdict first, then what it rests on."""

from collections.abc import Callable

from sim.planning.review.layouts import LayoutSpeed
from sim.planning.review.needs import BOUNDS, taken_over, times
from sim.planning.review.record import LEVELS
from sim.planning.review.requirements import Alone, Requirement
from sim.planning.review.resources import RESOURCES, Resource
from sim.planning.review.review import Review
from sim.planning.review.variation import FACTORS
from sim.planning.review.verdict import verdict
from sim.planning.uncertainty.spread import Band
from sim.report.figure import Chart
from sim.report.memory_chart import memory_chart
from sim.report.page import cards, page, panels, section, table
from sim.report.provenance import assumptions_section, scenario_section
from sim.report.review_charts import (
    binding_map,
    growth,
    influence_chart,
    largest_batch,
    layout_chart,
    requirement_chart,
    rooflines,
    variation_chart,
)
from sim.report.run_page import described
from sim.report.wording import ABSENT, number, percent, seconds, text
from sim.version import __version__

_STILL = 1e-3
"""A speed that a figure's whole range moves by less counts as one that it does not move."""


def html_review(review: Review) -> str:
    """One self-contained page."""
    deployment, point = review.machine.deployment, review.point
    lines, scaling, varied = growth(review), layout_chart(review), variation_chart(review)
    roofs, memory = rooflines(review), [memory_chart(review.machine.memory), largest_batch(review.maps)]
    binding = binding_map(review.maps)
    influence = influence_chart(review.sureness.influences, review.speed.tokens_per_s_per_user)
    required = [requirement_chart(r, i) for i, r in enumerate(review.requirements)]
    name, where = deployment.model.title or deployment.model.name, deployment.cluster.title
    body = [
        f"<h1>Review: {text(name)} on {text(where)}</h1>",
        f'<p class="lead">{text(described(deployment))} · {point.batch:,} users, prompts of '
        f"{point.prompt:,} and answers of {point.output:,} tokens · "
        f"scenario {text(review.machine.scenario.name)}</p>",
        cards(_cards(review)),
        section("Verdict", "".join(f"<p>{text(said)}</p>" for said in verdict(review)), _levels()),
        section("Rooflines", panels(roofs)),
        section("Time by resource", panels(lines)),
        section("Energy by operator", _energy(review)),
        section("Memory", panels(memory)),
        section("What binds where", panels([binding])),
        section("Scaling", panels([scaling]), _layouts(review)),
        section("The chip changed", panels([varied]), _variations(review)),
        section("Which assumptions decide", panels([influence]), _influences(review)),
        *(_requirement(r, c) for r, c in zip(review.requirements, required, strict=True)),
        section("What more of a resource is taken to cost", _weights()),
        assumptions_section(review.machine.assumptions),
        scenario_section(review.machine.scenario.resolved_text()),
    ]
    charts = [*roofs, *lines, *memory, binding, scaling, varied, influence, *required]
    return page(f"Review of {name} on {where} · bandwall", body, charts, f"bandwall {__version__}")


def _cards(review: Review) -> list[tuple[str, str, str]]:
    speed, sure, run = review.speed, review.sureness, review.served
    most = review.machine.largest_batch(review.point.context)

    def beside(band: Band, light: float, worded: Callable[[object], str]) -> str:
        return f"P10–P90 {worded(band.p10)}–{worded(band.p90)}, light {worded(light)}"

    return [
        ("Fits", "yes" if speed.fits else "no", f"{most:,} users at most"),
        ("Tokens/s per user", number(speed.tokens_per_s_per_user),
         beside(sure.per_user, speed.light_per_user, number)),
        ("Tokens/s per chip", number(speed.tokens_per_s_per_chip),
         beside(sure.per_chip, speed.light_per_chip, number)),
        ("A prompt", seconds(speed.prefill.seconds), beside(sure.prefill, speed.prefill.light, seconds)),
        ("Decode · prefill bound by", f"{_bound(speed.decode.bound)} · {_bound(speed.prefill.bound)}",
         f"{percent(speed.decode.share(speed.decode.bound))} · "
         f"{percent(speed.prefill.share(speed.prefill.bound))} of their time"),
        ("Under load, per chip", ABSENT if run is None else number(run.tokens_per_s_per_chip, "tokens/s"),
         "simulated"),
        ("1M output tokens", ABSENT if run is None else number(run.usd_per_million, "USD"),
         "simulated, chips owned"),
        ("An output token", ABSENT if run is None else number(run.joules, "J"),
         "simulated" if run is None else f"decode {number(run.decode_watts)}, prefill "
         f"{number(run.prefill_watts)} W a chip"),
    ]  # fmt: skip


def _bound(cause: str) -> str:
    return BOUNDS.get(cause, cause.replace("_", "-")).removeprefix("the ")


def _levels() -> str:
    return "".join(f'<p class="note">{text(name)}: {text(said)}</p>' for name, said in LEVELS.items())


def _energy(review: Review) -> str:
    """Of a decode step and of a prompt, above rest: switching alone."""
    phases = {"decode step": review.speed.decode, "prompt": review.speed.prefill}
    groups = dict.fromkeys(group for phase in phases.values() for group in phase.energy)
    rows = [
        [
            group.replace("_", " "),
            *(
                f"{number(phase.energy.get(group, 0.0), 'J')}, "
                f"{percent(phase.energy.get(group, 0.0) / sum(phase.energy.values()))}"
                for phase in phases.values()
            ),
        ]
        for group in sorted(groups, key=lambda g: -phases["decode step"].energy.get(g, 0.0))
    ]
    return table(("operators", *(f"a {name}, J of a chip above rest" for name in phases)), rows)


def _layouts(review: Review) -> str:
    groups = {f"{name} varied": found for name, found in review.layouts.along.items()}
    groups |= {"fastest per user": review.layouts.fastest, "most per chip": review.layouts.densest}
    rows = [_layout(name, found) for name, group in groups.items() for found in group]
    columns = ("", "layout", "bound by", "chips", "fits", "tokens/s per user", "tokens/s per chip")
    return table(columns, rows, words=3)


def _layout(name: str, found: LayoutSpeed) -> list[str]:
    p = found.parallel
    return [
        name,
        f"tp {p.tp}, pp {p.pp}, dp {p.dp}, ep {p.ep}",
        _bound(found.bound),
        str(p.chips),
        "yes" if found.fits else "no",
        number(found.tokens_per_s_per_user),
        number(found.tokens_per_s_per_chip),
    ]


def _variations(review: Review) -> str:
    columns = ("parameter", "now", *(f"× {f:g}: user · prompt · chip" for f in FACTORS))
    rows = [
        [
            variation.name,
            variation.now,
            *(
                " · ".join(
                    (
                        number(varied.speed.tokens_per_s_per_user),
                        seconds(varied.speed.prefill.seconds),
                        number(varied.speed.tokens_per_s_per_chip),
                    )
                )
                for varied in variation.varied
            ),
        ]
        for variation in review.variations
    ]
    note = (
        "The closed forms do not look at the shape of the matrix engine: what its edges waste is in the "
        "share of the peak that a kernel reaches (kernels.*_mma)."
    )
    return table(columns, rows, words=2) + f'<p class="note">{text(note)}</p>'


def _influences(review: Review) -> str:
    moving = [found for found in review.sureness.influences if found.swing > 1.0 + _STILL]
    columns = ("figure", "basis", "value and range", "tokens/s per user", "a prompt", "source")
    rows = [
        [
            found.name,
            found.basis,
            found.text,
            " … ".join(map(number, found.per_user)),
            " … ".join(map(seconds, found.prefill)),
            found.source,
        ]
        for found in moving
    ]
    still = len(review.sureness.influences) - len(moving)
    note = f"{still} more figures with a range move neither speed by as much as 0.1 %."
    return table(columns, rows, words=len(columns)) + f'<p class="note">{text(note)}</p>'


def _requirement(required: Requirement, chart: Chart) -> str:
    """One target: what each resource has to be alone, and the cheapest combination."""
    together = required.together
    rows = [
        [
            one.resource.title,
            one.resource.text(required.machine),
            _least(one, required),
            taken_over(one, required).removeprefix("; "),
            BOUNDS[one.variants[-1].bound],
            "interval" if one.interval else "no interval",
            _combined(one.resource, required),
        ]
        for one in required.alone
    ]
    columns = ("resource", "now", "least alone", "next bottleneck", "at the strongest", "what meets",
               "cheapest combination")  # fmt: skip
    reached = "is reached by the combination" if together.variant.meets else "is reached by no combination"
    note = (
        f"Level: {LEVELS[required.target.level]}. The target {reached}, at {together.cost:.2f} times the "
        "price of a chip by assumed weights."
    )
    return section(
        f"Requirement: {required.target.text}",
        f'<p class="note">{text(note)}</p>',
        panels([chart]),
        table(columns, rows, words=len(columns)),
    )


def _least(one: Alone, required: Requirement) -> str:
    if one.least is None:
        return f"never, up to {one.resource.text(required.machine, one.strengths[-1])}"
    strength = one.strengths[one.least]
    return f"{one.resource.text(required.machine, strength)} ({times(one.resource, strength)})"


def _combined(resource: Resource, required: Requirement) -> str:
    strength = required.together.strengths.get(resource.name)
    if strength is None:
        return "as now"
    return f"{resource.text(required.machine, strength)} ({times(resource, strength)})"


def _weights() -> str:
    columns = ("resource", "basis", "source", "share of a chip's price that once more costs", "range")
    rows = [
        [
            r.title,
            r.weight.basis,
            r.weight.source,
            f"{r.weight.value:g}",
            f"{r.weight.low:g} … {r.weight.high:g}",
        ]
        for r in RESOURCES
    ]
    return table(columns, rows, words=3)

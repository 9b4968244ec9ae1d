"""Charts of a review: time by resource as it grows, what binds where, changes of the chip, requirements."""

from collections.abc import Sequence

from sim.planning.review.influence import Influence
from sim.planning.review.maps import Cell, Maps
from sim.planning.review.requirements import Requirement
from sim.planning.review.review import Review
from sim.planning.review.variation import FACTORS, Variation
from sim.report.causes import cause_title, causes_chart
from sim.report.figure import (
    BLUE,
    INK,
    MUTED,
    ORANGE,
    PALETTE,
    RED,
    RESOURCE_COLOURS,
    RESOURCE_TITLES,
    Chart,
    Json,
    axis,
    line,
    rounded,
)
from sim.report.roofline_chart import roofline_chart
from sim.report.wording import number

MOST_BARS = 15


def rooflines(review: Review) -> list[Chart]:
    """Decode and prefill, an operator a dot."""
    machine, point = review.machine, review.point
    steps = {
        "decode": machine.decode_step(point.batch, point.context),
        "prefill": machine.prefill_steps(point.prompt)[0],
    }
    charts: list[Chart] = []
    for phase, step in steps.items():
        chart = roofline_chart(step, machine.deployment.cluster.chip, machine.arithmetic)
        if chart is not None:
            chart.key = f"roofline-{phase}"
            chart.title = f"{phase.capitalize()}. {chart.title}"
            charts.append(chart)
    return charts


def growth(review: Review) -> list[Chart]:
    """Time of a decode step by resource over batch and over context."""
    point, maps = review.point, review.maps
    return [
        _growth("by-batch", f"at {point.context:,} tokens of context", maps.by_batch, "users", "batch"),
        _growth("by-context", f"of {point.batch:,} users", maps.by_context, "tokens", "context"),
    ]


def _growth(key: str, what: str, cells: Sequence[Cell], unit: str, field: str) -> Chart:
    bars = {
        f"{getattr(cell, field):,} {unit}{'' if cell.fits else ' (does not fit)'}": {
            cause: 1e3 * seconds for cause, seconds in cell.phase.causes.items()
        }
        for cell in cells
    }
    return causes_chart(key, f"A decode step {what}, by resource", bars, "ms")


def binding_map(maps: Maps) -> Chart:
    """What takes most of a decode step over batch and context; in each place a user's tokens/s."""
    batches = list(dict.fromkeys(cell.batch for cell in maps.cells))
    contexts = list(dict.fromkeys(cell.context for cell in maps.cells))
    bounds = list(dict.fromkeys(cell.bound for cell in maps.cells))
    places = {(cell.batch, cell.context): cell for cell in maps.cells}
    rows = [[places[b, c] for b in batches] for c in contexts]
    steps = len(bounds)
    scale = [
        [edge, RESOURCE_COLOURS[bound]]
        for i, bound in enumerate(bounds)
        for edge in (i / steps, (i + 1) / steps)
    ]
    trace: Json = {
        "type": "heatmap",
        "x": [f"{b:,}" for b in batches], "y": [f"{c:,}" for c in contexts],
        "z": [[bounds.index(cell.bound) for cell in row] for row in rows],
        "zmin": -0.5, "zmax": steps - 0.5, "colorscale": scale, "xgap": 2, "ygap": 2, "opacity": 0.8,
        "text": [[number(cell.tokens_per_s_per_user) + ("" if cell.fits else " ×") for cell in row]
                 for row in rows],
        "texttemplate": "%{text}",
        "hovertemplate": "%{x} users, %{y} tokens: %{text} tokens/s per user<extra></extra>",
        "colorbar": {"tickvals": list(range(steps)), "ticktext": [RESOURCE_TITLES[b] for b in bounds]},
    }  # fmt: skip
    named = " and ".join(cause_title(bound) for bound in bounds)
    return Chart(
        "binding",
        f"Most of a decode step goes to {named}, depending on batch and context",
        [trace],
        {
            "xaxis": axis("users of a replica", type="category"),
            "yaxis": axis("tokens of context", type="category"),
        },
        height=420,
        wide=True,
        note="In each place the tokens/s of a user; × where the caches do not fit into memory.",
    )


def largest_batch(maps: Maps) -> Chart:
    """The most sequences that memory holds over their length."""
    contexts, batches = list(maps.largest), list(maps.largest.values())
    return Chart(
        "largest",
        "The largest batch that memory holds",
        [line("users of a replica", contexts, batches, BLUE, mode="lines+markers")],
        {"xaxis": axis("tokens of context", type="log"), "yaxis": axis("users of a replica", type="log")},
        wide=True,
    )


def variation_chart(review: Review) -> Chart:
    """A user's tokens/s over each design parameter's factor."""
    own = review.speed.tokens_per_s_per_user
    traces = [
        line(v.name, *_curve(v, own), PALETTE[i % len(PALETTE)], mode="lines+markers")
        for i, v in enumerate(_by_effect(review.variations, own))
    ]
    return Chart(
        "variation",
        "The chip changed one parameter at a time: a user's tokens/s",
        traces,
        {
            "xaxis": axis("factor on the parameter (times are divided by it)", type="log",
                          tickvals=[*FACTORS, 1], ticktext=[f"× {f:g}" for f in (*FACTORS, 1)]),
            "yaxis": axis("change of tokens/s per user, %"),
        },
        height=400,
        wide=True,
    )  # fmt: skip


def _curve(variation: Variation, own: float) -> tuple[list[float], list[float]]:
    points = [(v.factor, 100 * (v.speed.tokens_per_s_per_user / own - 1)) for v in variation.varied]
    points = sorted([*points, (1.0, 0.0)])
    return [factor for factor, _ in points], [change for _, change in points]


def _by_effect(variations: Sequence[Variation], own: float) -> list[Variation]:
    return sorted(variations, key=lambda v: -max(map(abs, _curve(v, own)[1])))


def influence_chart(influences: Sequence[Influence], own: float) -> Chart:
    """A tornado: a user's tokens/s at the ends of each figure's range."""
    strongest = sorted(influences, key=lambda i: -abs(i.per_user[1] - i.per_user[0]))[:MOST_BARS]
    names = [influence.name for influence in strongest]

    def end(name: str, place: int, colour: str) -> Json:
        values = [influence.per_user[place] - own for influence in strongest]
        return {
            "type": "bar", "orientation": "h", "name": name, "y": names, "x": rounded(values), "base": own,
            "marker": {"color": colour},
            "hovertemplate": f"%{{y}} at its {name}: %{{base}} %{{x:+.3~g}}<extra></extra>",
        }  # fmt: skip

    return Chart(
        "influence",
        "Which figure decides a user's tokens/s",
        [end("low end", 0, BLUE), end("high end", 1, ORANGE)],
        {
            "barmode": "overlay",
            "xaxis": axis("tokens/s per user"),
            "yaxis": axis("", autorange="reversed", showgrid=False),
        },
        height=120 + 24 * len(names),
        wide=True,
    )


def requirement_chart(required: Requirement, place: int) -> Chart:
    """The first bound's metric over each resource's strength, all else as it is."""
    bound = required.target.bounds[0]
    traces: list[Json] = [
        line(
            one.resource.title,
            one.strengths,
            [variant.values.get(bound.metric.name, float("nan")) for variant in one.variants],
            PALETTE[i % len(PALETTE)],
        )
        for i, one in enumerate(sorted(required.alone, key=lambda one: -one.reach))
    ]
    chart = Chart(
        f"requirement-{place}",
        f"{required.target.text}: each resource alone",
        traces,
        {
            "xaxis": axis("strength: factor on the resource (times are divided by it)", type="log"),
            "yaxis": axis(
                f"{bound.metric.title}{f', {d.base}' if (d := bound.metric.dimension).base else ''}"
            ),
        },
        height=360,
        wide=True,
    )
    chart.shapes.append({
        "type": "line", "x0": 0, "x1": 1, "xref": "paper", "y0": bound.value, "y1": bound.value,
        "line": {"color": RED, "width": 1.5, "dash": "dash"},
    })  # fmt: skip
    return chart


def layout_chart(review: Review) -> Chart:
    """Tokens/s per chip against per user: the layouts along each size, and the best on so many chips."""
    layouts = review.layouts
    groups = {f"{name} varied": found for name, found in layouts.along.items() if len(found) > 1}
    groups |= {"fastest per user": layouts.fastest, "most per chip": layouts.densest}
    traces: list[Json] = []
    for i, (name, found) in enumerate(groups.items()):
        kept = [f for f in found if f.fits]
        traces.append({
            "type": "scatter", "mode": "markers", "name": name,
            "x": rounded([f.tokens_per_s_per_user for f in kept]),
            "y": rounded([f.tokens_per_s_per_chip for f in kept]),
            "text": [f"{f.parallel.chips} chips: tp {f.parallel.tp}, pp {f.parallel.pp}, dp {f.parallel.dp}, "
                     f"ep {f.parallel.ep}" for f in kept],
            "marker": {"color": PALETTE[i % len(PALETTE)], "size": 9},
            "hovertemplate": "%{text}<br>%{x:,.4~g} per user, %{y:,.4~g} per chip<extra></extra>",
        })  # fmt: skip
    own = review.speed
    traces.append({
        "type": "scatter", "mode": "markers", "name": "reviewed", "x": rounded([own.tokens_per_s_per_user]),
        "y": rounded([own.tokens_per_s_per_chip]),
        "marker": {"color": INK, "size": 14, "symbol": "circle-open", "line": {"width": 2}},
    })  # fmt: skip
    return Chart(
        "layouts",
        "Layouts that fit: speed per chip against speed per user",
        traces,
        {
            "xaxis": axis("output tokens/s per user", rangemode="tozero", color=MUTED),
            "yaxis": axis("output tokens/s per chip, prompts taken in", rangemode="tozero"),
        },
        height=380,
        wide=True,
    )

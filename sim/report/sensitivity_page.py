"""The page of a sensitivity study: tornado, effects of Morris, shares of Sobol, or elasticities in words."""

from collections.abc import Sequence

from sim.planning.outputs import BY_NAME, Output
from sim.planning.uncertainty.elasticity import Elasticity
from sim.planning.uncertainty.sensitivity import Bar, Effect, Share
from sim.planning.uncertainty.study import Study
from sim.report.figure import BLUE, MUTED, ORANGE, Chart, Json, axis, rounded
from sim.report.page import page, panels, section, table
from sim.report.wording import ABSENT, number, text
from sim.version import __version__

MOST = 25
"""Factors that a chart shows; the table has all."""


def html_sensitivity(study: Study) -> str:
    """One self-contained page."""
    output = BY_NAME[study.output]
    chart, content = _shown(study, output)
    value = "" if study.value is None else f", {number(study.value, output.unit)} as it is"
    body = [
        f"<h1>What moves {text(output.title)}</h1>",
        f'<p class="lead">{text(study.method)}, {study.runs} runs{text(value)}</p>',
        section("Factors", panels([chart]), content),
    ]
    return page(f"What moves {output.title} · bandwall", body, [chart], f"bandwall {__version__}")


def _shown(study: Study, output: Output) -> tuple[Chart, str]:
    """The chart of the method, and its table."""
    bars = [row for row in study.rows if isinstance(row, Bar) and row.low == row.low and row.high == row.high]
    effects = [row for row in study.rows if isinstance(row, Effect)]
    shares = [row for row in study.rows if isinstance(row, Share)]
    if study.method == "tornado":
        return _tornado(bars[:MOST], study.value or 0.0, output), _bars(bars)
    if study.method == "morris":
        rows = [[effect.factor, number(effect.mu_star), number(effect.sigma)] for effect in effects]
        return _morris(effects, output), table(("factor", "µ*", "σ"), rows)
    if study.method == "sobol":
        return _sobol(shares[:MOST]), _shares(shares)
    found = [row for row in study.rows if isinstance(row, Elasticity)]
    sentences = [[row.words(output), f"{row.elasticity:+.2f}"] for row in found]
    return _elasticities(found, output), table(("a tenth more of a resource", "elasticity"), sentences)


def _tornado(bars: Sequence[Bar], value: float, output: Output) -> Chart:
    """From the output at each factor's low end to that at its high end, about the value."""
    names = [bar.factor for bar in reversed(bars)]
    traces: list[Json] = []
    for name, ends, colour in (
        ("at its 5 % end", [bar.low for bar in reversed(bars)], ORANGE),
        ("at its 95 % end", [bar.high for bar in reversed(bars)], BLUE),
    ):
        traces.append({
            "type": "bar", "orientation": "h", "name": name, "y": names, "base": value,
            "x": rounded([end - value for end in ends]), "marker": {"color": colour},
            "customdata": rounded(ends), "hovertemplate": "%{y}: %{customdata:,.4~g}<extra></extra>",
        })  # fmt: skip
    title = f"One factor at a time between the ends of its 90 % interval, about {number(value, output.unit)}"
    layout: Json = {
        "barmode": "overlay",
        "xaxis": axis(f"{output.title} {output.unit}".rstrip()),
        "yaxis": axis(""),
    }
    return Chart("tornado", title, traces, layout, height=110 + 24 * len(bars), wide=True)


def _bars(bars: Sequence[Bar]) -> str:
    rows = [
        [
            bar.factor,
            f"{bar.at_low} … {bar.at_high}",
            number(bar.low),
            number(bar.high),
            ABSENT if bar.elasticity != bar.elasticity else f"{bar.elasticity:+.2f}",
        ]
        for bar in bars
    ]
    return table(("factor", "from … to", "at low", "at high", "elasticity"), rows, words=2)


def _morris(effects: Sequence[Effect], output: Output) -> Chart:
    """Far right: strong; high: its effect depends on the others."""
    trace: Json = {
        "type": "scatter", "mode": "markers+text", "textposition": "top center",
        "x": rounded([effect.mu_star for effect in effects]),
        "y": rounded([effect.sigma for effect in effects]),
        "text": [effect.factor if place < 8 else "" for place, effect in enumerate(effects)],
        "customdata": [effect.factor for effect in effects], "marker": {"color": BLUE, "size": 8},
        "hovertemplate": "%{customdata}: %{x:,.4~g} ± %{y:,.4~g}<extra></extra>",
    }  # fmt: skip
    layout: Json = {
        "xaxis": axis(f"µ*: mean effect on {output.title} {output.unit}".rstrip(), rangemode="tozero"),
        "yaxis": axis("σ: how much it depends on the others", rangemode="tozero"),
    }
    return Chart("morris", "Right: strong; high: depends on the others", [trace], layout, 460, wide=True)


def _sobol(shares: Sequence[Share]) -> Chart:
    names = [share.factor for share in reversed(shares)]
    traces: list[Json] = []
    for name, values, ends, colour in (
        ("alone", [s.first for s in reversed(shares)], [s.first_confidence for s in reversed(shares)], BLUE),
        (
            "in all",
            [s.total for s in reversed(shares)],
            [s.total_confidence for s in reversed(shares)],
            MUTED,
        ),
    ):
        traces.append({
            "type": "bar", "orientation": "h", "name": name, "y": names, "x": rounded(values),
            "error_x": {"type": "data", "array": rounded(ends)}, "marker": {"color": colour},
        })  # fmt: skip
    layout: Json = {"xaxis": axis("share of the variance, with its 95 % interval"), "yaxis": axis("")}
    title = "What share of the variance each factor makes"
    return Chart("sobol", title, traces, layout, height=110 + 30 * len(shares), wide=True)


def _shares(shares: Sequence[Share]) -> str:
    rows = [
        [s.factor, f"{s.first:.3f} ± {s.first_confidence:.3f}", f"{s.total:.3f} ± {s.total_confidence:.3f}"]
        for s in shares
    ]
    return table(("factor", "alone", "in all"), rows)


def _elasticities(found: Sequence[Elasticity], output: Output) -> Chart:
    rows = [row for row in reversed(found) if row.change == row.change]
    trace: Json = {
        "type": "bar", "orientation": "h", "y": [row.factor for row in rows],
        "x": rounded([100 * row.change for row in rows]), "marker": {"color": BLUE},
        "customdata": [row.words(output) for row in rows], "hovertemplate": "%{customdata}<extra></extra>",
    }  # fmt: skip
    layout: Json = {"xaxis": axis(f"change of {output.title}, %"), "yaxis": axis("")}
    title = "What 10 % more of each resource does"
    return Chart("elasticity", title, [trace], layout, height=110 + 30 * len(rows), wide=True)

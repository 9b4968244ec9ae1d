"""The page of a comparison: from A to B by cause, an output at a time, and what differs going in."""

from collections.abc import Sequence

from sim.planning.compare import Comparison, Contrast
from sim.planning.outputs import BY_NAME
from sim.report.figure import BLUE, ORANGE, Chart, Json, axis, rounded
from sim.report.page import notes, page, panels, section, table
from sim.report.wording import ABSENT, number, text
from sim.version import __version__

MOST_INPUTS = 200
_LONGEST = 60
_MENU: Json = {"direction": "down", "x": 1.0, "xanchor": "right", "y": 1.14, "yanchor": "top"}


def html_compare(found: Comparison) -> str:
    """One self-contained page."""
    outputs = [contrast for contrast in found.outputs if contrast.a != contrast.b]
    charts = [_waterfall(outputs)] if outputs else []
    lead = f"{len(found.inputs)} inputs differ; shares of the difference from {found.runs} runs"
    body = [
        f"<h1>{text(found.a)} against {text(found.b)}</h1>",
        f'<p class="lead">{lead}</p>',
        notes(
            ["Causes were merged: finer ones are too many, or impossible together."] if found.merged else []
        ),
        section("From A to B, cause by cause", panels(charts), _shares(found, outputs)) if outputs else "",
        section("What differs going in", _inputs(found)),
    ]
    title = f"{found.a} against {found.b} · bandwall"
    return page(title, body, charts, f"bandwall {__version__}")


def _waterfall(outputs: Sequence[Contrast]) -> Chart:
    """A, each cause's share of the difference, B; a menu chooses the output."""
    traces = [_steps(contrast, visible=place == 0) for place, contrast in enumerate(outputs)]
    buttons: list[Json] = [
        {
            "label": BY_NAME[chosen.output].title,
            "method": "restyle",
            "args": [{"visible": [contrast is chosen for contrast in outputs]}],
        }
        for chosen in outputs
    ]
    return Chart(
        "waterfall",
        "What each cause adds or takes on the way from A to B (Shapley values: no order)",
        traces,
        {
            "xaxis": axis(""),
            "yaxis": axis(""),
            "showlegend": False,
            "updatemenus": [_MENU | {"buttons": buttons}],
        },
        height=440,
        wide=True,
    )


def _steps(contrast: Contrast, *, visible: bool) -> Json:
    output, causes = BY_NAME[contrast.output], list(contrast.shares)
    return {
        "type": "waterfall", "visible": visible, "name": output.title, "x": ["A", *causes, "B"],
        "measure": ["absolute", *["relative"] * len(causes), "total"],
        "y": rounded([contrast.a, *contrast.shares.values(), contrast.b]),
        "increasing": {"marker": {"color": BLUE}}, "decreasing": {"marker": {"color": ORANGE}},
        "hovertemplate": f"%{{x}}: %{{delta:,.4~g}} {output.unit}<extra></extra>",
    }  # fmt: skip


def _shares(found: Comparison, outputs: Sequence[Contrast]) -> str:
    rows = [
        [
            f"{BY_NAME[c.output].title} {BY_NAME[c.output].unit}".rstrip(),
            number(c.a),
            number(c.b),
            *(f"{share:+.3g}" for share in c.shares.values()),
        ]
        for c in outputs
    ]
    return table(("output", "A", "B", *found.causes), rows)


def _inputs(found: Comparison) -> str:
    rows = [[d.path, _short(d.a), _short(d.b)] for d in found.inputs[:MOST_INPUTS]]
    return table(("input", "A", "B"), rows, words=3)


def _short(value: object) -> str:
    shown = ABSENT if value is None else str(value)
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…"

"""The page of a sweep: every point, an output over two axes, the Pareto front, the table."""

from collections.abc import Mapping, Sequence

import numpy as np

from sim.planning.outputs import BY_NAME, OUTPUTS, Output
from sim.planning.pareto import pareto_front
from sim.planning.sweep.coordinates import coordinates, distinct
from sim.planning.sweep.result import Row, SweepResult
from sim.report.figure import BLUE, ORANGE, PALETTE, Chart, Json, axis, line, rounded
from sim.report.page import notes, page, panels, section, table
from sim.report.parallel_coordinates import Variable, parallel_coordinates
from sim.report.wording import ABSENT, number, text
from sim.version import __version__

MOST_ROWS = 2000
SPEED, USER = BY_NAME["tokens_per_s_per_chip"], BY_NAME["tokens_per_s_per_user"]
_MENU: Json = {"direction": "down", "x": 1.0, "xanchor": "right", "y": 1.16, "yanchor": "top"}


def html_sweep(result: SweepResult) -> str:
    """One self-contained page."""
    rows = result.done
    varied = [a for a in result.axes if len({row.labels[a] for row in rows}) > 1]
    outputs = [o for o in OUTPUTS if any(o.of(row.record) is not None for row in rows)]
    charts: list[Chart] = []
    if rows and outputs:
        charts += [_all_points(rows, varied, outputs), pareto_chart([(_said(r), r.record) for r in rows])]
        if len(varied) >= 2:
            charts.append(_heat_map(rows, varied[0], varied[1], outputs))
        charts += [_along(rows, name, outputs) for name in varied]
    refused = [f"{_said(row)}: {row.record['error']}" for row in result.refused]
    body = [
        f"<h1>Sweep of {text(result.scenario)}</h1>",
        f'<p class="lead">{len(result.rows)} points over {text(", ".join(result.axes))}</p>',
        notes([f"{len(refused)} points are impossible, the first: {refused[0]}"] if refused else []),
        section("Charts", panels(charts)) if charts else "",
        section("Points", _points(result, outputs)),
    ]
    return page(f"Sweep of {result.scenario} · bandwall", body, charts, f"bandwall {__version__}")


def pareto_chart(points: Sequence[tuple[str, Mapping[str, object]]], key: str = "pareto") -> Chart:
    """Output tokens/s per chip against per user, with the points that no other beats in both.

    Args:
        points: (what it is, its record).
    """
    named = [
        (name, user, speed)
        for name, record in points
        if (user := USER.of(record)) is not None and (speed := SPEED.of(record)) is not None
    ]
    front = pareto_front([(user, speed) for _, user, speed in named])
    return Chart(
        key,
        f"{len(front)} of {len(named)} points are beaten by none in both speed per user and per chip",
        [
            {
                "type": "scatter", "mode": "markers", "name": "points",
                "x": rounded([user for _, user, _ in named]), "y": rounded([speed for *_, speed in named]),
                "text": [name for name, *_ in named], "marker": {"color": BLUE, "size": 7, "opacity": 0.55},
                "hovertemplate": "%{text}<br>%{x:,.4~g} per user, %{y:,.4~g} per chip<extra></extra>",
            },
            line(
                "Pareto front", [named[i][1] for i in front], [named[i][2] for i in front], ORANGE,
                mode="lines+markers", hoverinfo="skip",
            ),
        ],
        {
            "xaxis": axis("output tokens/s per user", rangemode="tozero"),
            "yaxis": axis("output tokens/s per chip", rangemode="tozero"),
        },
        height=420,
        wide=True,
    )  # fmt: skip


def _all_points(rows: Sequence[Row], varied: Sequence[str], outputs: Sequence[Output]) -> Chart:
    variables = [_axis_variable(name, rows) for name in varied]
    variables += [_output_variable(output, rows) for output in outputs]
    colour = SPEED if SPEED in outputs else outputs[0]
    return parallel_coordinates("points", variables, _output_variable(colour, rows), colour.better)


def _axis_variable(name: str, rows: Sequence[Row]) -> Variable:
    labels = [row.labels[name] for row in rows]
    places = coordinates(labels)
    ends = [labels[places.index(end)] for end in (min(places), max(places))]
    return Variable(_short(name), places, *ends)


def _output_variable(output: Output, rows: Sequence[Row]) -> Variable:
    found = [output.of(row.record) for row in rows]
    known = [value for value in found if value is not None]
    values = [float("nan") if value is None else value for value in found]
    return Variable(output.title, values, number(min(known)), number(max(known)))


def _heat_map(rows: Sequence[Row], across: str, up: str, outputs: Sequence[Output]) -> Chart:
    """An output over two axes, the mean over what else varies; a menu chooses the output."""
    columns, lines = (distinct([row.labels[name] for row in rows]) for name in (across, up))
    grids = [_grid(rows, across, up, columns, lines, output) for output in outputs]
    traces: list[Json] = [
        {
            "type": "heatmap", "x": columns, "y": lines, "z": grid, "visible": place == 0,
            "colorscale": "Viridis", "colorbar": {"title": {"text": output.unit}},
            "hovertemplate": f"%{{x}}, %{{y}}: %{{z:,.4~g}} {output.unit}<extra>{output.title}</extra>",
        }
        for place, (output, grid) in enumerate(zip(outputs, grids, strict=True))
    ]  # fmt: skip
    return Chart(
        "heat",
        f"Over {_short(across)} and {_short(up)}, the mean over all else",
        traces,
        {
            "xaxis": axis(across, type="category"),
            "yaxis": axis(up, type="category"),
            "updatemenus": [_MENU | {"buttons": _buttons(outputs)}],
        },
        height=420,
        wide=True,
    )


def _grid(
    rows: Sequence[Row], across: str, up: str, columns: list[str], lines: list[str], output: Output
) -> list[list[float | None]]:
    total, count = (np.zeros((len(lines), len(columns))) for _ in range(2))
    for row in rows:
        value = output.of(row.record)
        if value is not None:
            place = lines.index(row.labels[up]), columns.index(row.labels[across])
            total[place] += value
            count[place] += 1
    means = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    return [rounded(one) for one in means]


def _buttons(outputs: Sequence[Output]) -> list[Json]:
    return [
        {"label": chosen.title, "method": "restyle", "args": [{"visible": [o is chosen for o in outputs]}]}
        for chosen in outputs
    ]


def _along(rows: Sequence[Row], name: str, outputs: Sequence[Output]) -> Chart:
    """Every output along one axis as a share of its largest value, the mean over all else."""
    values = distinct([row.labels[name] for row in rows])
    places = coordinates(values)
    traces: list[Json] = []
    for output, colour in zip(outputs, PALETTE, strict=False):
        means = [_mean(rows, name, value, output) for value in values]
        most = max((abs(mean) for mean in means if np.isfinite(mean)), default=0.0) or 1.0
        traces.append(
            line(output.title, places, [100 * mean / most for mean in means], colour, mode="lines+markers")
        )
    return Chart(
        f"along-{name}",
        f"Along {_short(name)}, in % of each output's largest",
        traces,
        {
            "xaxis": axis(name, tickvals=places, ticktext=values),
            "yaxis": axis("% of the largest", range=[0, 104]),
        },
        height=340,
    )


def _mean(rows: Sequence[Row], name: str, value: str, output: Output) -> float:
    known = [
        found for row in rows if row.labels[name] == value and (found := output.of(row.record)) is not None
    ]
    return sum(known) / len(known) if known else float("nan")


def _points(result: SweepResult, outputs: Sequence[Output]) -> str:
    columns = (*map(_short, result.axes), *(o.title + (f", {o.unit}" if o.unit else "") for o in outputs))
    rows = [
        [*(row.labels[a] for a in result.axes), *(number(o.of(row.record)) for o in outputs)]
        for row in result.done[:MOST_ROWS]
    ]
    return table(columns, rows or [[ABSENT] * len(columns)], words=len(result.axes))


def _said(row: Row) -> str:
    return ", ".join(f"{_short(name)} {value}" for name, value in row.labels.items())


def _short(path: str) -> str:
    return path.rpartition(".")[2]

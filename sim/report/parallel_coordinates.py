"""Parallel coordinates: one vertical axis per variable, one line per point, coloured by fifths of an output.

Drawn as plain lines, since plotly's own trace of that name compiles shaders at run time, which the page's
content policy forbids. A click on a fifth in the legend hides or shows its lines.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.report.figure import GRID, MUTED, Chart, Json, axis, rounded

MOST_LINES = 1000
FIFTHS = ("#1e3a8a", "#2563eb", "#0f766e", "#d97706", "#c81e1e")
"""From the worst fifth to the best."""


@dataclass(frozen=True, slots=True)
class Variable:
    """One vertical axis: a value per point, NaN where it has none, and what to write at the ends."""

    title: str
    values: Sequence[float]
    lowest: str
    highest: str


def parallel_coordinates(key: str, variables: Sequence[Variable], colour: Variable, better: str) -> Chart:
    """Lines over `variables`, coloured by `colour`, of which "more" or "less" is better."""
    scaled = np.array([_scaled(variable.values) for variable in variables])
    shade = np.array(colour.values, np.float64)
    shown = np.flatnonzero(np.isfinite(shade))
    order = shown[np.argsort(shade[shown] if better == "more" else -shade[shown], kind="stable")]
    thinned = order[np.linspace(0, len(order) - 1, min(MOST_LINES, len(order))).astype(np.int64)]
    traces = [
        _lines(f"{name} of {colour.title}", scaled[:, part], tint)
        for name, part, tint in zip(
            ("worst fifth", "fourth", "middle", "second", "best fifth"),
            np.array_split(thinned, len(FIFTHS)),
            FIFTHS,
            strict=True,
        )
        if len(part)
    ]
    chart = Chart(
        key,
        f"Every point over all variables, coloured by {colour.title}",
        traces,
        {
            "xaxis": axis(
                "", tickvals=list(range(len(variables))), ticktext=[v.title for v in variables], tickangle=20
            ),
            "yaxis": {"visible": False, "range": [-0.08, 1.08]},
        },
        height=460,
        wide=True,
        note=f"{len(thinned)} of {len(colour.values)} points." if len(thinned) < len(colour.values) else "",
    )
    for place, variable in enumerate(variables):
        chart.shapes.append({
            "type": "line", "x0": place, "x1": place, "y0": 0, "y1": 1,
            "line": {"color": GRID, "width": 2}, "layer": "below",
        })  # fmt: skip
        for y, said in ((-0.04, variable.lowest), (1.04, variable.highest)):
            chart.annotations.append({
                "x": place, "y": y, "text": said, "showarrow": False, "font": {"size": 11, "color": MUTED},
            })  # fmt: skip
    return chart


def _scaled(values: Sequence[float]) -> NDArray[np.float64]:
    """From 0 at the least to 1 at the largest; one half where all are alike."""
    column = np.array(values, np.float64)
    finite = column[np.isfinite(column)]
    if not len(finite) or finite.max() == finite.min():
        return np.where(np.isfinite(column), 0.5, np.nan)
    return (column - finite.min()) / (finite.max() - finite.min())


def _lines(name: str, columns: NDArray[np.float64], colour: str) -> Json:
    """All lines of one colour as one trace, a gap between any two."""
    count = columns.shape[1]
    y = np.vstack([columns, np.full(count, np.nan)]).T.ravel()
    x = [place if place < len(columns) else None for _ in range(count) for place in range(len(columns) + 1)]
    return {
        "type": "scatter", "mode": "lines", "name": name, "x": x, "y": rounded(y),
        "line": {"color": colour, "width": 1.2}, "opacity": 0.7, "hoverinfo": "skip",
    }  # fmt: skip

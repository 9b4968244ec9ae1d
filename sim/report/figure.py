"""Figures as plotly.js takes them: plain data, one look for all charts.

Built as plain dictionaries and not with plotly's Python classes, whose import alone costs more than a report.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

Json = dict[str, object]

INK, MUTED, GRID = "#1f2933", "#616e7c", "#e4e7eb"
BLUE, ORANGE, RED, TEAL = "#2563eb", "#d97706", "#c81e1e", "#0f766e"
RESOURCE_COLOURS = {
    "compute": "#d97706", "array": "#92400e", "matrix": "#d97706", "vector": "#fbbf24",
    "hbm": "#2563eb", "link": "#7c3aed", "launch": "#64748b", "host": "#a3b1c2",
    "imbalance": "#c81e1e", "bubble": "#ca8a04", "idle": "#e4e7eb",
    "gateway": "#e2e8f0", "front_end": "#cbd5e1", "queueing": "#94a3b8", "transfer": "#059669",
    "interference": "#be185d", "preemption": "#7f1d1d",
}  # fmt: skip
RESOURCE_TITLES = {
    "compute": "compute", "array": "array padding", "matrix": "matrix engines", "vector": "vector engines",
    "hbm": "HBM", "link": "interconnect", "launch": "launch", "host": "host",
    "imbalance": "imbalance", "bubble": "pipeline bubble", "idle": "idle",
    "gateway": "gateway", "front_end": "front end", "queueing": "queueing", "transfer": "KV transfer",
    "interference": "prefill of others", "preemption": "preemption",
}  # fmt: skip
PALETTE = ("#2563eb", "#d97706", "#0f766e", "#7c3aed", "#c81e1e", "#64748b", "#ca8a04", "#0891b2", "#be185d")
SIGNIFICANT = 5


@dataclass(slots=True)
class Chart:
    """One chart of a page.

    Attributes:
        key: its name in the page; title: a sentence that says what to see; height: px.
        traces, layout: plotly.js's own.
        wide: takes the whole width.
    """

    key: str
    title: str
    traces: list[Json]
    layout: Json
    height: int = 300
    wide: bool = False
    note: str = ""
    shapes: list[Json] = field(default_factory=list)
    annotations: list[Json] = field(default_factory=list)

    def to_json(self) -> Json:
        """What plotly.js draws."""
        margin = {"l": 64, "r": 24, "t": 28, "b": 48}
        layout: Json = {
            "height": self.height,
            "margin": margin,
            "paper_bgcolor": "white",
            "plot_bgcolor": "white",
            "font": {"family": "system-ui, sans-serif", "size": 12, "color": INK},
            "hovermode": "closest",
            "legend": {
                "orientation": "h",
                "y": 1.02,
                "yanchor": "bottom",
                "x": 0,
                "traceorder": "normal",
            },
            "shapes": self.shapes,
            "annotations": self.annotations,
        }
        return {"data": self.traces, "layout": layout | self.layout}

    def mark_x(self, value: float, label: str, logarithmic: bool = False) -> None:
        """A dashed vertical line with its label, as for a bound.

        On a logarithmic axis plotly takes a shape's place as it is, an annotation's as its logarithm.
        """
        line = {"color": RED, "width": 1.5, "dash": "dash"}
        self.shapes.append({
            "type": "line", "x0": value, "x1": value, "y0": 0, "y1": 1, "yref": "paper", "line": line,
        })  # fmt: skip
        self.annotations.append({
            "x": math.log10(value) if logarithmic else value,
            "y": 1, "yref": "paper", "yanchor": "bottom", "text": label, "showarrow": False,
            "font": {"color": RED, "size": 11},
        })  # fmt: skip


def axis(title: str, **more: object) -> Json:
    """An axis with light grid lines."""
    base: Json = {
        "title": {"text": title, "font": {"size": 12, "color": MUTED}},
        "gridcolor": GRID,
        "zerolinecolor": GRID,
        "linecolor": GRID,
        "automargin": True,
    }
    return base | more


def rounded(values: ArrayLike) -> list[float | None]:
    """Numbers as a page needs them: five significant digits; what is not finite is absent."""
    array = np.asarray(values, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        magnitude = np.floor(np.log10(np.abs(array)))
    scale = 10.0 ** (SIGNIFICANT - 1 - np.where(np.isfinite(magnitude), magnitude, 0.0))
    short = (np.round(array * scale) / scale).tolist()
    finite = np.isfinite(array).tolist()
    return [value if good else None for value, good in zip(short, finite, strict=True)]


def line(name: str, x: ArrayLike, y: ArrayLike, colour: str, **more: object) -> Json:
    """A line trace."""
    style: Json = {
        "type": "scatter", "mode": "lines", "name": name, "x": rounded(x), "y": rounded(y),
        "line": {"color": colour, "width": 1.8},
    }  # fmt: skip
    return style | more


def stacked_bar(name: str, labels: Sequence[str], values: ArrayLike, colour: str, hover: str) -> Json:
    """One colour of horizontal stacked bars, a bar per label."""
    return {
        "type": "bar", "orientation": "h", "name": name, "y": list(labels), "x": rounded(values),
        "marker": {"color": colour}, "hovertemplate": hover,
    }  # fmt: skip

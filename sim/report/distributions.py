"""Charts of how a latency is distributed: histogram, cumulative share, and the bound it should keep."""

import numpy as np

from sim.metrics import SloSpec
from sim.metrics.intertoken import BIN_WIDTH, gap_points, gaps, weighted_quantiles
from sim.metrics.latency import Floats, latencies
from sim.report.figure import BLUE, INK, Chart, axis, line, rounded
from sim.report.wording import seconds
from sim.serving.records import RunResult

BARS = 60
STRETCH = 3.0
LEVELS = 200
LOGARITHMIC_FROM = 20.0  # times the median that the 99.5 % quantile must reach


def distributions(result: RunResult, slo: SloSpec | None) -> list[Chart]:
    """TTFT, TPOT and ITL of the whole run."""
    found = latencies(result.requests)
    bounds = (slo.ttft, slo.tpot) if slo is not None else (None, None)
    charts = [
        _of_requests("ttft", "Time to first token", found.ttft, bounds[0]),
        _of_requests("tpot", "Time per output token", found.tpot, bounds[1]),
    ]
    values, weights = gap_points(gaps(result))
    charts.append(_chart("itl", "Gap between tokens", values, weights, "gaps", None))
    return [chart for chart in charts if chart is not None]


def _of_requests(key: str, name: str, column: Floats, bound: float | None) -> Chart | None:
    values = column[np.isfinite(column)]
    return _chart(key, name, values, np.ones(len(values)), "requests", bound)


def _chart(
    key: str, name: str, values: Floats, weights: Floats, what: str, bound: float | None
) -> Chart | None:
    """One latency (s) with its weights; None where there is nothing to show."""
    if not len(values):
        return None
    levels = np.linspace(0.0, 0.999, LEVELS)
    cumulative = 1e3 * weighted_quantiles(values, weights, levels)
    half, most, last = (float(q) for q in weighted_quantiles(values, weights, np.array([0.5, 0.99, 0.995])))
    logarithmic = last > LOGARITHMIC_FROM * half
    # a quantile is exact to BIN_WIDTH: a little further, so that the values it stands for lie inside
    edges = _edges(1e3 * float(values.min()), 1e3 * last * (1.0 + 2.0 * BIN_WIDTH), logarithmic)
    share = 100 * np.histogram(1e3 * values, edges, weights=weights)[0] / weights.sum()
    middle = np.sqrt(edges[1:] * edges[:-1]) if logarithmic else 0.5 * (edges[1:] + edges[:-1])
    shown = _shown(edges, bound, logarithmic)
    kind = {"type": "log", "range": np.log10(shown).tolist()} if logarithmic else {"range": shown}
    chart = Chart(
        key,
        f"{name}: half within {seconds(half)}, 99 % within {seconds(most)}",
        [
            {
                "type": "bar", "name": f"share of {what}", "x": rounded(middle), "y": rounded(share),
                "width": rounded(np.diff(edges)), "marker": {"color": BLUE, "opacity": 0.35},
                "hovertemplate": "%{x:.4~g} ms: %{y:.2f} %",
            },
            line("share at or below", cumulative, 100 * levels, INK, yaxis="y2",
                 hovertemplate="%{y:.1f} % within %{x:.4~g} ms"),
        ],
        {
            "xaxis": axis("ms", **kind),
            "yaxis": axis(f"{what} per bar, %", rangemode="tozero"),
            "yaxis2": axis("at or below, %", overlaying="y", side="right", range=[0, 104], showgrid=False,
                           tickvals=[0, 25, 50, 75, 100]),
            "bargap": 0,
            "showlegend": False,
        },
        height=280,
    )  # fmt: skip
    if bound is not None and shown[0] <= 1e3 * bound <= shown[1]:
        chart.mark_x(1e3 * bound, f"SLO {seconds(bound)}", logarithmic)
    elif bound is not None:
        chart.note = (
            f"The SLO of {seconds(bound)} lies {'right' if 1e3 * bound > shown[1] else 'left'} of this."
        )
    return chart


def _shown(edges: Floats, bound: float | None, logarithmic: bool) -> list[float]:
    """The axis, ms: the bars, and the bound unless it is so far off that it would flatten them."""
    lowest, highest = float(edges[0]), float(edges[-1])
    if bound is not None and lowest / STRETCH <= 1e3 * bound <= highest * STRETCH:
        lowest, highest = min(lowest, 1e3 * bound), max(highest, 1e3 * bound)
    if logarithmic:
        return [lowest / 1.1, highest * 1.1]
    room = 0.04 * (highest - lowest)
    return [max(0.0, lowest - room), highest + room]


def _edges(lowest: float, highest: float, logarithmic: bool) -> Floats:
    """Edges of the bars, ms; the slowest half percent lies beyond the last."""
    if highest <= lowest * (1.0 + 1e-3):  # all alike: one bar in the middle
        return np.linspace(0.5 * lowest, 1.5 * lowest, BARS)
    if logarithmic:
        return np.geomspace(lowest, highest, BARS + 1)
    return np.linspace(lowest, highest, BARS + 1)

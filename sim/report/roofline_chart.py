"""The roofline of a step: each operator's arithmetic intensity against what it achieves, under the ceilings.

ceiling(intensity) = min(peak FLOP/s of the arithmetic type, intensity · peak HBM bytes/s)
"""

from collections.abc import Sequence

import numpy as np

from sim.hardware.chip import Chip
from sim.report.figure import (
    GRID,
    INK,
    MUTED,
    RESOURCE_COLOURS,
    RESOURCE_TITLES,
    Chart,
    Json,
    axis,
    line,
    rounded,
)
from sim.report.wording import scaled
from sim.timing.timer import OperatorTime, StepBreakdown

LARGEST_DOT, SMALLEST_DOT = 42.0, 8.0
NAMED_FROM = 0.012  # share of the step
HOVER = (
    "%{customdata[0]}: %{customdata[1]:,.4~g} µs, %{customdata[2]} % of its speed of light<br>"
    "%{x:,.4~g} FLOP/B, %{y:.4~s}FLOP/s<extra></extra>"
)


def roofline_chart(step: StepBreakdown, chip: Chip, arithmetic: str) -> Chart | None:
    """Log-log; None if no operator has both arithmetic and HBM traffic."""
    dots = [o for o in step.operators if o.flops > 0 and o.hbm_bytes > 0 and o.time > 0]
    if not dots:
        return None
    peak, bandwidth = chip.peak(arithmetic), chip.memory.bandwidth
    intensities = [o.flops / o.hbm_bytes for o in dots]
    left = min(*intensities, 0.1 * peak / bandwidth) / 2
    right = max(*intensities, 10 * peak / bandwidth) * 2
    x = np.geomspace(left, right, 100)
    slope = (left * peak / bandwidth) ** 0.5
    others = len(step.operators) - len(dots)
    chart = Chart(
        "roofline",
        f"Roofline: left of {peak / bandwidth:,.0f} FLOP/B an operator waits for HBM",
        [
            line(
                f"{arithmetic} peak and HBM peak", x, np.minimum(peak, x * bandwidth), INK, hoverinfo="skip"
            ),
            *_dots(dots, step.total),
        ],
        {
            "xaxis": axis(
                "arithmetic intensity, FLOP per HBM byte", type="log", exponentformat="power", dtick=1
            ),
            "yaxis": axis("achieved, FLOP/s per chip", type="log", exponentformat="SI", dtick=1),
        },
        height=460,
        wide=True,
        note="The area of a dot is its share of the step; the smallest are named under the pointer."
        + (f" {others} operators without arithmetic or HBM traffic are in the table only." if others else ""),
    )
    for rate in sorted(set(chip.compute.peak.values())):
        kinds = ", ".join(kind for kind, own in chip.compute.peak.items() if own == rate)
        if rate != peak:
            chart.shapes.append(_level(rate))
        colour = INK if rate == peak else MUTED
        chart.annotations.append(_label(f"{kinds} {scaled(rate, 'FLOP/s')}", right, rate, colour))
    chart.annotations.append(_label(f"HBM {scaled(bandwidth, 'B/s')}", slope, slope * bandwidth, INK))
    return chart


def _dots(operators: Sequence[OperatorTime], total: float) -> list[Json]:
    """One trace per bound, so that the legend names the resources."""
    traces: list[Json] = []
    for bound in dict.fromkeys(operator.bound for operator in operators):
        own = [operator for operator in operators if operator.bound == bound]
        sizes = [max(SMALLEST_DOT, LARGEST_DOT * (o.time / total) ** 0.5) for o in own]
        traces.append({
            "type": "scatter", "mode": "markers+text", "name": f"bound by {RESOURCE_TITLES[bound]}",
            "x": rounded([o.flops / o.hbm_bytes for o in own]), "y": rounded([o.flops / o.time for o in own]),
            "text": [o.name if o.time >= NAMED_FROM * total else "" for o in own],
            "textposition": "bottom center",
            "textfont": {"size": 10, "color": MUTED},
            "customdata": [[o.name, round(1e6 * o.time, 3), round(100 * o.light / o.time, 1)] for o in own],
            "marker": {"color": RESOURCE_COLOURS[bound], "size": rounded(sizes), "opacity": 0.75,
                       "line": {"width": 1, "color": "white"}},
            "hovertemplate": HOVER,
        })  # fmt: skip
    return traces


def _level(rate: float) -> Json:
    """A thin line at the peak of a type that this step does not compute in."""
    return {
        "type": "line", "x0": 0, "x1": 1, "xref": "paper", "y0": rate, "y1": rate,
        "line": {"color": GRID, "width": 1.2, "dash": "dot"}, "layer": "below",
    }  # fmt: skip


def _label(what: str, x: float, y: float, colour: str, side: str = "right") -> Json:
    """A label above a ceiling's end; annotations on logarithmic axes take logarithms."""
    return {
        "x": float(np.log10(x)), "y": float(np.log10(y)), "text": what, "showarrow": False, "xanchor": side,
        "yanchor": "bottom", "font": {"size": 11, "color": colour},
    }  # fmt: skip

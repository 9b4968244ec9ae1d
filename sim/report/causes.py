"""Charts of time divided by cause: one stacked bar for a step, a run, a latency."""

from collections.abc import Mapping, Sequence

from sim.report.figure import RESOURCE_COLOURS, RESOURCE_TITLES, Chart, Json, axis, stacked_bar

LEVEL_COLOURS = ("#7c3aed", "#a78bfa", "#c4b5fd", "#ddd6fe")
"""Fabric levels from the innermost on."""

Causes = Mapping[str, float]


def causes_chart(
    key: str, title: str, bars: Mapping[str, Causes], unit: str, note: str = "", limit: float | None = None
) -> Chart:
    """Horizontal bars, each divided by cause; the colours of a cause are the same on every chart.

    Args:
        bars: label to amount by cause, in `unit`; limit: where the axis ends.
    """
    causes = list(dict.fromkeys(cause for amounts in bars.values() for cause in amounts))
    levels = [cause for cause in causes if cause not in RESOURCE_TITLES]
    traces = [_trace(cause, bars, unit, levels) for cause in causes]
    extent: Json = {"rangemode": "tozero"} if limit is None else {"range": [0, limit]}
    return Chart(
        key,
        title,
        traces,
        {
            "barmode": "stack",
            "xaxis": axis(unit, **extent),
            "yaxis": axis("", autorange="reversed", showgrid=False, showticklabels=len(bars) > 1),
        },
        height=130 + 32 * len(bars),
        wide=True,
        note=note,
    )


def cause_title(cause: str) -> str:
    """A cause in words; a fabric level is its tier's name."""
    return RESOURCE_TITLES.get(cause, cause.replace("_", "-"))


def _trace(cause: str, bars: Mapping[str, Causes], unit: str, levels: Sequence[str]) -> Json:
    title = cause_title(cause)
    colour = RESOURCE_COLOURS.get(cause)
    if colour is None:
        colour = LEVEL_COLOURS[min(levels.index(cause), len(LEVEL_COLOURS) - 1)]
    amounts = [amounts.get(cause, 0.0) for amounts in bars.values()]
    hover = f"%{{y}}, {title}: %{{x:,.4~g}} {unit}<extra></extra>"
    return stacked_bar(title, list(bars), amounts, colour, hover)

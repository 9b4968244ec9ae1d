"""How sure a run is: its outputs with their bands, and the bands on the charts of the run."""

from collections.abc import Mapping, Sequence

from sim.planning.outputs import BY_NAME
from sim.planning.uncertainty.spread import LATENCY_LEVELS, Band, Spread
from sim.report.figure import BLUE, ORANGE, Chart, Json, axis, rounded
from sim.report.page import table
from sim.report.wording import ABSENT, number, percent

SHADE = "rgba(37, 99, 235, 0.12)"
_DECIDING = 3
_STRIPES = {
    "throughput": ("output_throughput", 1.0, "y"),
    "queue": ("mean_running", 1.0, "y"),
    "steps": ("p50_itl_ms", 1.0, "y"),
    "kv": ("kv_peak", 100.0, "y"),
    "ttft_parts": ("mean_ttft_ms", 1.0, "x"),
    "tpot_parts": ("mean_tpot_ms", 1.0, "x"),
    "by_resource": ("busy_share", 100.0, "x"),
}
"""Chart → the field whose band is a stripe on it, its factor into the chart's unit, the axis it lies on."""


def spread_chart(spread: Spread, values: Mapping[str, object]) -> Chart:
    """Every output's band as a share of its value, and what the model's own error alone makes of it."""
    known = [
        (BY_NAME[name].title, band, spread.model.get(name), float(value))
        for name, band in spread.bands.items()
        if name in BY_NAME and isinstance(value := values.get(name), int | float) and value
    ]
    known.reverse()
    titles = [title for title, *_ in known]
    all_of_it = [(band, value) for _, band, _, value in known]
    alone = [(own.band if own is not None else band, value) for _, band, own, value in known]
    return Chart(
        "spread",
        f"P10, P50 and P90 of {spread.samples} draws, in % of the value without any",
        [
            _bars("everything uncertain", titles, all_of_it, BLUE),
            _bars("the model's own error alone", titles, alone, ORANGE),
        ],
        {
            "xaxis": axis("% of the value", zeroline=False),
            "yaxis": axis("", type="category"),
            "scattermode": "group",
        },
        height=110 + 34 * len(known),
        wide=True,
    )


def _bars(name: str, titles: Sequence[str], known: Sequence[tuple[Band, float]], colour: str) -> Json:
    middle = [100 * band.p50 / value for band, value in known]
    above = [100 * (band.p90 - band.p50) / value for band, value in known]
    below = [100 * (band.p50 - band.p10) / value for band, value in known]
    return {
        "type": "scatter", "mode": "markers", "name": name, "y": list(titles), "x": rounded(middle),
        "error_x": {"type": "data", "symmetric": False, "array": rounded(above), "arrayminus": rounded(below),
                    "color": colour},
        "marker": {"color": colour, "size": 8}, "hovertemplate": "%{y}: %{x:.4~g} %<extra></extra>",
    }  # fmt: skip


def deciding(spread: Spread) -> str:
    """The bands as a table, with the factors that decide each output."""
    rows: list[list[str]] = []
    for name, output in BY_NAME.items():
        if (band := spread.bands.get(name)) is None:
            continue
        model = spread.model.get(name)
        factors = [f"{i.factor} {i.correlation:+.2f}" for i in spread.influences[name][:_DECIDING]]
        shown = [number(value) for value in (band.p10, band.p50, band.p90)]
        share = ABSENT if model is None else percent(model.share)
        rows.append([f"{output.title} {output.unit}".rstrip(), ", ".join(factors), *shown, share])
    return table(("output", "decided by", "P10", "P50", "P90", "of it the model's"), rows, words=2)


def draw_bands(charts: Sequence[Chart], spread: Spread) -> None:
    """Draws the bands on the charts of a run: of a latency's quantiles, of a level over time, of a share."""
    for chart in charts:
        if f"p50_{chart.key}_ms" in spread.bands:
            chart.traces.append(_quantiles(chart.key, spread))
        elif chart.key in _STRIPES:
            name, factor, along = _STRIPES[chart.key]
            if (band := spread.bands.get(name)) is not None:
                chart.shapes.append(_stripe(along, factor * band.p10, factor * band.p90))
                said = f"Shaded: P10 to P90 of {name} under {spread.samples} draws."
                chart.note = f"{chart.note} {said}".lstrip()


def _quantiles(latency: str, spread: Spread) -> Json:
    """P10 to P90 of the latency's quantiles, on the axis of its cumulative share."""
    bands = [(spread.bands[f"{level}_{latency}_ms"], 100 * share) for level, share in LATENCY_LEVELS.items()]
    return {
        "type": "scatter", "mode": "markers", "name": "P10 to P90 of quantiles", "yaxis": "y2",
        "x": rounded([band.p50 for band, _ in bands]), "y": [share for _, share in bands],
        "error_x": {"type": "data", "symmetric": False, "color": ORANGE,
                    "array": rounded([band.p90 - band.p50 for band, _ in bands]),
                    "arrayminus": rounded([band.p50 - band.p10 for band, _ in bands])},
        "marker": {"color": ORANGE, "size": 6},
        "hovertemplate": "%{y} % within %{x:.4~g} ms at P50<extra></extra>",
    }  # fmt: skip


def _stripe(along: str, low: float, high: float) -> Json:
    """A shaded stripe from low to high on one axis, over the whole of the other."""
    across = "x" if along == "y" else "y"
    return {
        "type": "rect", f"{across}ref": "paper", f"{across}0": 0, f"{across}1": 1, f"{along}0": low,
        f"{along}1": high, "fillcolor": SHADE, "line": {"width": 0}, "layer": "below",
    }  # fmt: skip

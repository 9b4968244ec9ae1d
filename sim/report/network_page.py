"""The page of a collective: time and bus bandwidth against the size of its message."""

from sim.report.figure import BLUE, ORANGE, PALETTE, Chart, Json, axis, line
from sim.report.page import cards, page, panels, section, table
from sim.report.provenance import assumptions_section
from sim.report.wording import scaled, text
from sim.scenario.network_run import NetworkPoint, NetworkRun
from sim.units import BYTES, show
from sim.version import __version__


def html_network(run: NetworkRun) -> str:
    """One self-contained page: both curves, the algorithm of each size, the figures they rest on."""
    charts = [_time_chart(run), _bandwidth_chart(run)]
    title = f"{run.collective} on {run.ranks} chips of {run.cluster.title}"
    body = [
        f"<h1>{text(title)}</h1>",
        cards(_cards(run)),
        section("Curves", panels(charts)),
        section("Sizes", _table(run)),
        assumptions_section(run.assumptions),
    ]
    return page(f"{title} · bandwall", body, charts, f"bandwall {__version__}")


def _cards(run: NetworkRun) -> list[tuple[str, str, str]]:
    first, last = run.points[0], run.points[-1]
    return [
        (f"{_size(first.size)}", f"{1e6 * first.time:,.1f} µs", first.algorithm),
        (f"{_size(last.size)}", scaled(run.busbw(last.size, last.time), "B/s"), "of bus bandwidth"),
        ("Beside it", ", ".join(run.background) or "nothing", ""),
    ]


def _time_chart(run: NetworkRun) -> Chart:
    """Log-log; a colour for each algorithm, the band dotted."""
    sizes = [point.size for point in run.points]
    names = list(dict.fromkeys(point.algorithm for point in run.points))
    traces = [
        line(name, sizes, [1e6 * value for value in values], "#999999", line=_DOTTED)
        for name, values in (
            ("10th percentile", [point.low for point in run.points]),
            ("90th percentile", [point.high for point in run.points]),
        )
    ]
    for name, colour in zip(names, PALETTE * len(names), strict=False):
        own = [point if point.algorithm == name else None for point in run.points]
        values = [float("nan") if point is None else 1e6 * point.time for point in own]
        traces.append(line(name, sizes, values, colour, mode="lines+markers"))
    if run.background:
        values = [1e6 * (point.beside or 0.0) for point in run.points]
        traces.append(line("with " + ", ".join(run.background), sizes, values, ORANGE, mode="lines+markers"))
    axes: Json = {"xaxis": axis("message, B", type="log"), "yaxis": axis("time, µs", type="log")}
    return Chart("time", "Time by the algorithm that is fastest", traces, axes, height=360, wide=True)


_DOTTED: Json = {"color": "#999999", "width": 1.2, "dash": "dot"}


def _bandwidth_chart(run: NetworkRun) -> Chart:
    sizes = [point.size for point in run.points]
    traces = [
        line(
            "alone",
            sizes,
            [run.busbw(point.size, point.time) / 1e9 for point in run.points],
            BLUE,
            mode="lines+markers",
        )
    ]
    if run.background:
        values = [run.busbw(point.size, point.beside or float("nan")) / 1e9 for point in run.points]
        traces.append(line("with " + ", ".join(run.background), sizes, values, ORANGE, mode="lines+markers"))
    axes: Json = {"xaxis": axis("message, B", type="log"), "yaxis": axis("bus bandwidth, GB/s", type="log")}
    return Chart("bandwidth", "Bus bandwidth", traces, axes, height=360, wide=True)


def _table(run: NetworkRun) -> str:
    rows = [_row(run, point) for point in run.points]
    return table(("message", "time, µs", "P10 … P90", "busbw, GB/s", "with", "algorithm"), rows)


def _row(run: NetworkRun, point: NetworkPoint) -> list[str]:
    return [
        _size(point.size),
        f"{1e6 * point.time:,.1f}",
        f"{1e6 * point.low:,.1f} … {1e6 * point.high:,.1f}",
        f"{run.busbw(point.size, point.time) / 1e9:,.1f}",
        "–" if point.beside is None else f"{1e6 * point.beside:,.1f}",
        text(point.algorithm),
    ]


def _size(size: float) -> str:
    return show(size, BYTES)

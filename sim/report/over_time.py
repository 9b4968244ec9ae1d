"""Charts of a run over time: throughput, queue, step time, KV cache."""

import numpy as np

from sim.metrics import Summary, Window
from sim.metrics.latency import Floats
from sim.metrics.operation import replicas_up
from sim.report.figure import BLUE, INK, ORANGE, TEAL, Chart, Json, axis, line
from sim.report.wording import ABSENT, number, percent, seconds
from sim.serving.records import RunResult, Series

MOST_POINTS = 125  # of the throughput chart


def over_time(result: RunResult, summary: Summary) -> list[Chart]:
    """Throughput, running and waiting requests, step time, KV occupancy and, where replicas come and go, how
    many serve; the steady part is shaded."""
    series = result.series
    charts = [_throughput(series, summary), _queue(series, summary), _steps(series), _kv(series, summary)]
    if result.history is not None:
        charts.append(_replicas(result, summary))
    for chart in charts:
        chart.layout |= {"xaxis": axis("time, s"), "hovermode": "x unified"}
        if summary.window is not None:
            chart.shapes.append(_shade(summary.window))
    return charts


def _middle(series: Series) -> Floats:
    return series.time + 0.5 * series.width


def _thinned(column: Floats, width: int) -> Floats:
    """Means of `width` neighbours; prompts arrive whole, and finer bins would show only that."""
    if width <= 1:
        return column
    starts = np.arange(0, len(column), width)
    return np.add.reduceat(column, starts) / np.diff(np.append(starts, len(column)))


def _throughput(series: Series, summary: Summary) -> Chart:
    rate = number(summary.values["output_throughput"], "tokens/s")
    width = -(-len(series.time) // MOST_POINTS)
    x, output, prompt = (
        _thinned(column, width) for column in (_middle(series), series.output_rate, series.prompt_rate)
    )
    return Chart(
        "throughput",
        f"Throughput: {rate} of output over the whole run",
        [
            line("output", x, output, BLUE, hovertemplate="%{y:,.4~g} tokens/s"),
            line("prompt", x, prompt, ORANGE, hovertemplate="%{y:,.4~g} tokens/s", opacity=0.6),
        ],
        {"yaxis": axis("tokens/s", rangemode="tozero")},
    )


def _queue(series: Series, summary: Summary) -> Chart:
    x = _middle(series)
    waiting = number(summary.values["max_waiting"])
    grows = "grows: the run is saturated" if summary.backlog.saturated else f"holds {waiting} at most"
    return Chart(
        "queue",
        f"Requests in the system: the queue {grows}",
        [
            line("running", x, series.running, BLUE, hovertemplate="%{y:,.4~g}"),
            line("waiting", x, series.waiting, ORANGE, hovertemplate="%{y:,.4~g}"),
        ],
        {"yaxis": axis("requests", rangemode="tozero")},
    )


def _steps(series: Series) -> Chart:
    ran = series.step_time > 0
    mean = seconds(float(series.step_time[ran].mean())) if ran.any() else ABSENT
    return Chart(
        "steps",
        f"Step time: {mean} on average over time",
        [
            line(
                "mean step",
                _middle(series),
                np.where(ran, 1e3 * series.step_time, np.nan),
                INK,
                hovertemplate="%{y:,.4~g} ms",
            )
        ],
        {"yaxis": axis("ms", rangemode="tozero")},
    )


def _kv(series: Series, summary: Summary) -> Chart:
    peak = percent(summary.values["kv_peak"])
    return Chart(
        "kv",
        f"KV cache: at most {peak} of its blocks held, {number(summary.values['preemptions'])} preemptions",
        [
            line(
                "held by running requests",
                _middle(series),
                100 * series.kv_used,
                TEAL,
                fill="tozeroy",
                fillcolor="rgba(15,118,110,0.12)",
                hovertemplate="%{y:.1f} %",
            )
        ],
        {"yaxis": axis("blocks, %", range=[0, 104])},
    )


def _replicas(result: RunResult, summary: Summary) -> Chart:
    times, up = replicas_up(result)
    mean, failures = number(summary.values["mean_replicas_up"]), number(summary.values["failures"])
    x = np.append(times, result.duration)
    y = np.append(up, up[-1]).astype(np.float64)
    return Chart(
        "replicas",
        f"Replicas that serve: {mean} on average, {failures} failures",
        [
            line("serving", x, y, TEAL, hovertemplate="%{y}")
            | {"line": {"color": TEAL, "width": 1.8, "shape": "hv"}}
        ],
        {"yaxis": axis("replicas", rangemode="tozero")},
    )


def _shade(window: Window) -> Json:
    """The steady part of the run, as a pale band."""
    return {
        "type": "rect", "x0": window.start, "x1": window.end, "y0": 0, "y1": 1, "yref": "paper",
        "fillcolor": "#f1f5f9", "line": {"width": 0}, "layer": "below",
    }  # fmt: skip

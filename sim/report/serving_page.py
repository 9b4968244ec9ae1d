"""The page of `validate serving`: simulated against measured, and the cells behind it, worst first."""

from collections.abc import Sequence

from sim.report.figure import MUTED, PALETTE, Chart, Json, axis, line
from sim.report.page import cards, page, panels, section, table
from sim.report.wording import percent
from sim.validation.serving import ServingReport
from sim.validation.serving.measures import measure
from sim.validation.serving.row import ServingRow
from sim.validation.serving.statistics import Cell
from sim.version import __version__

_CHARTS = {
    "tpot": "Time per output token",
    "ttft": "Time to first token",
    "output_tps": "Output tokens/s",
    "e2e": "Time to last token",
    "step": "Scheduler step",
}
_SHOWN = 60
_NUMBERS = ("n", "median |error| %", "90 %", "bias", "90 % of medians", "sites apart %")


def html_validate_serving(report: ServingReport) -> str:
    """One self-contained page."""
    charts = [chart for what, title in _CHARTS.items() if (chart := _chart(report.rows, what, title))]
    ranks = report.ranking
    ran = report.cases - len(report.skipped)
    named = [goal for goal in report.goals if goal.all is not None]
    body = [
        "<h1>Simulated against measured serving</h1>",
        f'<p class="lead">{ran} of {report.cases} measured cases ran.</p>',
        cards([
            *((g.name, f"{g.all.median_ape:.1f} %", f"median of {g.all.n}") for g in named if g.all),
            ("Ranking", percent(ranks.share), f"of {ranks.pairs} pairs right"),
        ]),
        section("Case by case", panels(charts)),
        section("By category, model, chip, engine and load, worst first", _cells(report.groups[:_SHOWN])),
        *(
            section(f"By metric and {side}", _cells(report.by("metric", side)))
            for side in ("model", "gpu", "engine", "regime")
        ),
        section("Per-request records", _distributions(report)),
        section("Left out", table(("why", "cases"), [(why, str(n)) for why, n in report.reasons])),
    ]  # fmt: skip
    return page("Serving against silicon · bandwall", body, charts, f"bandwall {__version__}")


def _chart(rows: Sequence[ServingRow], what: str, title: str) -> Chart | None:
    """Measured against simulated, one colour per engine, both axes logarithmic."""
    chosen = [row for row in rows if _kind(row) == what and row.measured > 0 and row.simulated > 0]
    if not chosen:
        return None
    traces: list[Json] = []
    engines = sorted({row.engine for row in chosen})
    for engine, colour in zip(engines, PALETTE, strict=False):
        mine = [row for row in chosen if row.engine == engine]
        traces.append(
            line(
                engine,
                [row.measured for row in mine],
                [row.simulated for row in mine],
                colour,
                mode="markers",
                marker={"color": colour, "size": 5, "opacity": 0.6},
                customdata=[[row.id, f"{row.error:+.0f}"] for row in mine],
                hovertemplate="%{customdata[0]}<br>%{x:.4g} measured, %{y:.4g} simulated, %{customdata[1]} %",
            )
        )
    ends = [min(row.measured for row in chosen), max(row.measured for row in chosen)]
    traces.append(line("equal", ends, ends, MUTED, line={"color": MUTED, "width": 1, "dash": "dot"}))
    unit = "tokens/s" if what.endswith("tps") else "ms"
    layout: Json = {
        "xaxis": axis(f"measured, {unit}", type="log"),
        "yaxis": axis(f"simulated, {unit}", type="log"),
    }
    return Chart(what, title, traces, layout, height=420)


def _kind(row: ServingRow) -> str:
    known = measure(row.metric)
    if known is None:
        return row.metric.partition("_")[0]
    return known.what if known.statistic in ("mean", "p50") and not known.per_chips else ""


def _cells(cells: Sequence[Cell]) -> str:
    keys = tuple(cells[0].keys) if cells else ()
    return table((*keys, *_NUMBERS), [(*cell.keys.values(), *_numbers(cell)) for cell in cells], len(keys))


def _numbers(cell: Cell) -> tuple[str, ...]:
    low, high = cell.interval
    apart = "" if cell.site_spread is None else f"{cell.site_spread:.1f}"
    errors = (f"{value:.1f}" for value in (cell.median_ape, cell.p90_ape, cell.bias))
    return (str(cell.n), *errors, f"{low:.1f} … {high:.1f}", apart)


def _distributions(report: ServingReport) -> str:
    rows = [
        (d.id, d.what, str(d.n), *(f"{d.measured[s]:,.1f} / {d.simulated[s]:,.1f}" for s in d.measured),
         percent(d.distance))
        for d in report.distributions
    ]  # fmt: skip
    columns = ("case", "latency, ms", "n", "mean", "p50", "p90", "p99", "distance")
    queue = [
        (o.id, o.what, f"{o.measured:.1f}", f"{o.simulated:.1f}", f"{o.difference:.1f}")
        for o in report.over_time
    ]
    return table(columns, rows, 2) + table(
        ("case", "requests", "measured mean", "simulated mean", "mean difference"), queue, 2
    )

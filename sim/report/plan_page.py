"""The page of a plan: the answer, the alternatives, speed per chip against speed per user."""

from collections.abc import Sequence

from sim.planning.pareto import pareto_front
from sim.planning.plan.fleet import Interval
from sim.planning.plan.option import Option
from sim.planning.plan.result import PlanResult
from sim.planning.plan.trial import measured
from sim.report.figure import ORANGE, PALETTE, Chart, Json, axis, rounded
from sim.report.page import cards, notes, page, panels, section, table
from sim.report.provenance import scenario_section
from sim.report.wording import ABSENT, number, percent, text
from sim.version import __version__


def html_plan(result: PlanResult) -> str:
    """One self-contained page."""
    best = result.best
    charts = [_cost(result), _pareto(result), _load(result.options)]
    charts += [_served(result)] if result.budget else []
    title = f"{result.spec.model} at {result.spec.rate:g} requests/s"
    body = [
        f"<h1>{text(title)}: {text(described(best))}</h1>",
        f'<p class="lead">{text(result.name)}, seed {result.spec.seed}, '
        f"{result.spec.search.replications} replications</p>",
        notes([f"{r.candidate}: {r.reason}" for r in result.rejected]),
        cards(_cards(result)),
        section("Options", panels(charts), _options(result.options)),
        section("How the layouts fared", _searched(result)),
        section(
            "Launch one replica", *(f"<h3>{e}</h3><pre>{text(c)}</pre>" for e, c in result.launch.items())
        ),
        scenario_section(result.scenario.resolved_text()),
    ]
    return page(f"{title} · bandwall", body, charts, f"bandwall {__version__}")


def described(option: Option) -> str:
    """'3 × 8 h200-hgx (tp 8, ep 8)', and its router."""
    behind = f", {option.router}" if option.router else ""
    return f"{option.fleet} ({option.unit.sizes()}{behind})"


def _cards(result: PlanResult) -> list[tuple[str, str, str]]:
    best = result.best
    spread = best.usd_per_million
    bought = (
        "carried by spare servers" if any(best.spares) else f"needs {best.loss.spare_servers} spare servers"
    )
    loss = "carries on" if best.loss.survives else bought
    down = max(1, result.spec.servers_down)
    return [
        ("1M output tokens", f"{spread.mean:,.3f} USD", f"{spread.low:,.3f} … {spread.high:,.3f}"),
        ("Chips", str(best.chips), f"{best.servers} servers, {best.bill.racks} racks"),
        ("Power", f"{best.kilowatts:,.1f} kW", f"{_figure(best, 'joules_per_output_token')} J a token"),
        ("Headroom", percent(best.headroom), "to the knee" + (" or beyond" if best.open else "")),
        (f"Servers down: {down}", loss, f"{best.loss.replicas_left} replicas left"),
        ("Speed", f"{_figure(best, 'tokens_per_s_per_user')} /s per user",
         f"{_figure(best, 'tokens_per_s_per_chip')} /s per chip"),
        ("TTFT · TPOT, 99 %", f"{_figure(best, 'p99_ttft_ms')} · {_figure(best, 'p99_tpot_ms')} ms", ""),
        ("Bound by", best.bound_by, ""),
    ]  # fmt: skip


def _figure(option: Option, name: str) -> str:
    found = option.figures.get(name)
    return ABSENT if found is None else number(found.mean)


def _cost(result: PlanResult) -> Chart:
    """Cost per token with its interval, a bar per option, and its band under draws."""
    options = result.options
    names = [described(option) for option in reversed(options)]
    costs = [option.usd_per_million for option in reversed(options)]
    drawn = [_drawn(result, names)] if result.certainty else []
    said = f"; the first is cheapest in {100 * result.certainty[0].cheapest:.0f} % of draws" if drawn else ""
    return Chart(
        "cost",
        f"Cost of 1M output tokens, with the 95 % interval over replications{said}",
        [
            {
                "type": "bar", "orientation": "h", "y": names, "x": rounded([c.mean for c in costs]),
                "error_x": {"type": "data", "array": rounded([c.high - c.mean for c in costs])},
                "marker": {"color": PALETTE[0]}, "hovertemplate": "%{y}: %{x:,.4~g} USD<extra></extra>",
                "showlegend": False,
            },
            *drawn,
        ],
        {"xaxis": axis("USD per 1M output tokens", rangemode="tozero"), "yaxis": axis("")},
        height=80 + 36 * len(options),
        wide=True,
    )  # fmt: skip


def _drawn(result: PlanResult, names: Sequence[str]) -> Json:
    """The band of each option's cost under draws, in the order of the names."""
    bands = [certainty.usd_per_million for certainty in reversed(result.certainty)]
    return {
        "type": "scatter", "mode": "markers", "name": "P10, P50, P90 under draws", "y": list(names),
        "x": rounded([band.p50 for band in bands]),
        "error_x": {"type": "data", "symmetric": False, "color": ORANGE,
                    "array": rounded([band.p90 - band.p50 for band in bands]),
                    "arrayminus": rounded([band.p50 - band.p10 for band in bands])},
        "marker": {"color": ORANGE, "size": 8},
        "hovertemplate": "%{y}: %{x:,.4~g} USD at P50<extra></extra>",
    }  # fmt: skip


def _served(result: PlanResult) -> Chart:
    """What each candidate serves with the same budget."""
    fleets = result.budget[::-1]
    return Chart(
        "budget",
        f"With {result.spec.budget}: requests/s at the knee of the largest fleet of each candidate",
        [
            {
                "type": "bar", "orientation": "h", "marker": {"color": PALETTE[2]},
                "y": [f.unit.fleet(f.replicas) for f in fleets],
                "x": rounded([fleet.served for fleet in fleets]),
                "hovertemplate": "%{y}: %{x:,.4~g} requests/s<extra></extra>",
            }
        ],
        {"xaxis": axis("requests/s", rangemode="tozero"), "yaxis": axis("")},
        height=80 + 36 * len(fleets),
        wide=True,
    )  # fmt: skip


def _pareto(result: PlanResult) -> Chart:
    """Every simulated run of every candidate, and the front of each."""
    traces: list[Json] = []
    names = list(dict.fromkeys(key.rpartition("#")[0] for key in result.knees))
    for name, colour in zip(names, PALETTE * 3, strict=False):
        found = [
            (user, speed)
            for key, knee in result.knees.items()
            if key.rpartition("#")[0] == name
            for trial in knee.trials
            if (user := measured(trial.record, "tokens_per_s_per_user")) is not None
            and (speed := measured(trial.record, "tokens_per_s_per_chip")) is not None
        ]
        front = [found[i] for i in pareto_front(found)]
        for points, mode, size in ((found, "markers", 6), (front, "lines", 0)):
            traces.append({
                "type": "scatter", "mode": mode, "name": name, "showlegend": mode == "lines",
                "x": rounded([x for x, _ in points]), "y": rounded([y for _, y in points]),
                "marker": {"color": colour, "size": size, "opacity": 0.5}, "line": {"color": colour},
            })  # fmt: skip
    return Chart(
        "pareto",
        "Speed per chip against speed per user, every simulated run",
        traces,
        {
            "xaxis": axis("output tokens/s per user", rangemode="tozero"),
            "yaxis": axis("output tokens/s per chip", rangemode="tozero"),
        },
        height=420,
        wide=True,
    )


def _load(options: Sequence[Option]) -> Chart:
    """TPOT against load on the way to the knee."""
    traces: list[Json] = []
    for option, colour in zip(options, PALETTE * 3, strict=False):
        trials = option.search.trials
        tpot = [measured(trial.record, "p99_tpot_ms") or float("nan") for trial in trials]
        marks = ["circle" if trial.meets else "x" for trial in trials]
        traces.append({
            "type": "scatter", "mode": "lines+markers", "name": described(option),
            "x": rounded([trial.rate for trial in trials]), "y": rounded(tpot),
            "marker": {"symbol": marks, "size": 8, "color": colour}, "line": {"color": colour},
        })  # fmt: skip
    return Chart(
        "load",
        "99 % TPOT of a replica against its load; a cross misses what is asked",
        traces,
        {"xaxis": axis("requests/s of one replica", type="log"), "yaxis": axis("TPOT, 99 %, ms", type="log")},
        height=420,
        wide=True,
    )


def _options(options: Sequence[Option]) -> str:
    columns = (
        "fleet", "KV", "USD/1M", "95 %", "chips", "kW", "J/token", "tok/s/chip", "tok/s/user", "headroom",
        "servers down", "bound by",
    )  # fmt: skip
    rows = [
        [
            described(option),
            option.unit.answers.layout.precision.kv_cache,
            number(option.usd_per_million.mean),
            _range(option.usd_per_million),
            str(option.chips),
            number(option.kilowatts),
            *(
                _figure(option, name)
                for name in ("joules_per_output_token", "tokens_per_s_per_chip", "tokens_per_s_per_user")
            ),
            percent(option.headroom),
            "yes" if option.loss.survives or any(option.spares) else f"+{option.loss.spare_servers} servers",
            option.bound_by,
        ]
        for option in options
    ]
    return table(columns, rows, words=2)


def _range(interval: Interval) -> str:
    return f"{number(interval.low)} … {number(interval.high)}"


def _searched(result: PlanResult) -> str:
    rows = [
        [s.candidate, *(f"{n:,}" for n in (s.layouts, s.kept, s.estimated, s.simulated))]
        for s in result.searched
    ]
    return table(("candidate", "layouts", "kept by the bound", "estimated", "simulated"), rows)

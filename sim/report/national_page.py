"""The page of a country's services: the day, the answer, each service's bounds, the errors of groups."""

import numpy as np

from sim.planning.national.result import NationalResult
from sim.planning.national.schema import ServiceSpec
from sim.planning.national.splitting import METRICS
from sim.planning.plan.fleet import Interval
from sim.report.figure import PALETTE, Chart, Json, axis, rounded
from sim.report.page import cards, page, panels, section, table
from sim.report.provenance import scenario_section
from sim.report.wording import number, percent, seconds, text
from sim.version import __version__


def html_national(result: NationalResult) -> str:
    """One self-contained page."""
    title = f"{result.daily_requests / 1e6:,.0f} million requests a day"
    charts = [_day(result), _errors(result)]
    body = [
        f"<h1>{text(title)}: {result.replicas:,} replicas</h1>",
        f'<p class="lead">{text(result.name)}, seed {result.spec.seed}, {result.spec.replications} '
        "replications</p>",
        cards(_cards(result)),
        section("The day", panels(charts[:1])),
        section("Services at the peak", _services(result)),
        section("What simulating by groups does", panels(charts[1:]), _splitting(result)),
        scenario_section(result.scenario.resolved_text()),
    ]
    return page(f"{title} · bandwall", body, charts, f"bandwall {__version__}")


def _cards(result: NationalResult) -> list[tuple[str, str, str]]:
    bill = result.bill
    return [
        ("Replicas", f"{result.replicas:,}", f"{result.groups:,} groups of {result.spec.group}"),
        ("Chips", f"{result.chips:,}", f"{result.servers:,} servers, {bill.racks:,} racks"),
        ("Power at the peak", f"{result.megawatts:,.1f} MW", "at the meter, every replica busy"),
        ("Cost", f"{bill.usd_per_hour:,.0f} USD/h", ", ".join(bill.parts)),
        ("Peak", f"{result.rate:,.0f} requests/s", f"at {_clock(result.peak)}"),
        ("Bound by", result.bound_by, ""),
    ]


def _clock(time: float) -> str:
    hour, minute = divmod(int(time) // 60, 60)
    return f"{hour:02}:{minute:02}"


def _day(result: NationalResult) -> Chart:
    """Requests per second by service, stacked, over the hours of the day."""
    hours = result.day.times / 3600.0
    traces: list[Json] = []
    for service, rates, colour in zip(result.spec.services, result.day.rates, PALETTE * 9, strict=False):
        traces.append({
            "type": "scatter", "mode": "lines", "stackgroup": "all", "name": service.name,
            "x": rounded(hours), "y": rounded(rates), "line": {"width": 0.5, "color": colour},
        })  # fmt: skip
    chart = Chart(
        "day",
        "Requests per second by service",
        traces,
        {
            "xaxis": axis("hour of the day", range=[0, 24], dtick=3),
            "yaxis": axis("requests/s", rangemode="tozero"),
        },
        height=360,
        wide=True,
    )
    chart.mark_x(result.peak / 3600.0, "peak")
    return chart


def _errors(result: NationalResult) -> Chart:
    """Errors against the number of groups, with their intervals."""
    traces: list[Json] = []
    for colour, (split, name) in zip(
        PALETTE, [(s, m) for s in ("random", "round_robin") for m in METRICS], strict=False
    ):
        mine = [error for error in result.splitting if error.split == split]
        found = [error.errors[name] for error in mine]
        traces.append({
            "type": "scatter", "mode": "lines+markers", "name": f"{name.upper()}, {split}",
            "x": [error.groups for error in mine], "y": rounded(100 * np.array([f.mean for f in found])),
            "error_y": {"type": "data", "array": rounded([100 * (f.high - f.mean) for f in found])},
            "line": {"color": colour, "dash": "solid" if split == "random" else "dot"},
        })  # fmt: skip
    return Chart(
        "errors",
        f"Error of the 99th percentiles when {result.compared} replicas are divided, 95 % intervals",
        traces,
        {"xaxis": axis("groups", tickvals=[2, 4, 8]), "yaxis": axis("error, %", zeroline=True)},
        height=360,
        wide=True,
    )


def _services(result: NationalResult) -> str:
    asked = {service.name: service for service in result.spec.services}
    rows = [
        [
            service.name,
            f"{asked[service.name].daily_users:,.0f}",
            number(service.rate),
            *(_interval(service.p99[name]) for name in METRICS),
            _bounds(asked[service.name]),
            percent(service.attained.mean),
            percent(asked[service.name].slo.attainment),
        ]
        for service in result.services
    ]
    heads = ("service", "daily users", "/s", "TTFT 99 %", "TPOT 99 %", "E2EL 99 %")
    return table((*heads, "SLO: TTFT · TPOT · E2EL", "attained", "needed"), rows)


def _bounds(service: ServiceSpec) -> str:
    slo = service.slo
    return " · ".join(seconds(bound) for bound in (slo.ttft, slo.tpot, slo.e2el))


def _interval(found: Interval) -> str:
    return f"{seconds(found.mean)} ({seconds(found.low)} … {seconds(found.high)})"


def _splitting(result: NationalResult) -> str:
    rows = [
        [
            error.split,
            str(error.groups),
            *(
                f"{100 * f.mean:+.1f} % ({100 * f.low:+.1f} … {100 * f.high:+.1f})"
                for f in (error.errors[name] for name in METRICS)
            ),
        ]
        for error in result.splitting
    ]
    return table(("split", "groups", "TTFT", "TPOT", "E2EL"), rows)

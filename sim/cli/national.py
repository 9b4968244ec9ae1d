"""`bandwall national`: replicas, chips and megawatts that services of a country take at its peak."""

import gc
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sim.cli.options import HtmlFile, JsonFile
from sim.cli.output import console, require_outputs, table, write_json, write_page
from sim.cli.wording import percent, significant

if TYPE_CHECKING:
    from rich.console import Console

    from sim.planning.national.result import NationalResult
    from sim.planning.plan.fleet import Interval

NationalFile = Annotated[
    Path, typer.Argument(metavar="SERVICES", help="File of the services (YAML).", show_default=False)
]
ScenarioTarget = Annotated[
    Path | None,
    typer.Option(
        "--scenario",
        metavar="FILE",
        help="Write one replica at its share of the peak as a scenario that runs.",
        show_default=False,
    ),
]


def national(
    file: NationalFile, json: JsonFile = None, html: HtmlFile = None, scenario: ScenarioTarget = None
) -> None:
    """Find how many replicas serve a country's services within their SLOs at the peak of the day."""
    import sim

    require_outputs(file, json, html, scenario, role="the services")
    gc.enable()  # a search runs long enough for cycles to count
    result = sim.national(file)
    write_json(json, result.to_json())
    if html is not None:
        write_page(html, sim.html_national(result))
    if scenario is not None:
        result.scenario.write_resolved(scenario)
    _print_national(console(json), result)


def _print_national(out: "Console", result: "NationalResult") -> None:
    hour, minute = divmod(int(result.peak) // 60, 60)
    out.print(
        f"{result.name}: {result.daily_requests / 1e6:,.0f} million requests a day, {result.rate:,.0f} /s at "
        f"{hour:02}:{minute:02}\n",
        markup=False,
    )
    rows = [
        ("replicas", f"{result.replicas:,} in {result.groups:,} groups of {result.spec.group}"),
        ("chips", f"{result.chips:,} in {result.servers:,} servers, {result.bill.racks:,} racks"),
        ("power at the meter", f"{significant(result.megawatts)} MW"),
        ("cost", f"{result.bill.usd_per_hour:,.0f} USD/h"),
        ("bound by", result.bound_by),
    ]
    out.print(table("At the peak", ("", ""), rows, "ll"))
    _print_services(out, result)
    _print_splitting(out, result)


def _print_services(out: "Console", result: "NationalResult") -> None:
    heads = ("service", "/s", "TTFT p99", "TPOT p99", "E2EL p99", "attained", "needed")
    needed = {service.name: service.slo.attainment for service in result.spec.services}
    rows = [
        (
            service.name,
            f"{service.rate:,.0f}",
            *(_ms(service.p99[name]) for name in ("ttft", "tpot", "e2el")),
            percent(service.attained.mean),
            percent(needed[service.name]),
        )
        for service in result.services
    ]
    out.print(table("Services, ms, with the 95 % interval over replications", heads, rows))


def _print_splitting(out: "Console", result: "NationalResult") -> None:
    rows = [
        (error.split, str(error.groups), *(_error(error.errors[name]) for name in ("ttft", "tpot", "e2el")))
        for error in result.splitting
    ]
    title = f"Error of 99th percentiles when {result.compared} replicas are divided into groups"
    out.print(table(title, ("split", "groups", "TTFT", "TPOT", "E2EL"), rows, "lrrrr"))
    out.print(
        f"{result.simulated:,} requests of one group stand for {result.stands_for:,.0f} in the same time.",
        style="dim",
        markup=False,
    )


def _ms(found: "Interval") -> str:
    return f"{significant(1e3 * found.mean)} ± {significant(1e3 * (found.high - found.mean))}"


def _error(found: "Interval") -> str:
    return f"{100 * found.mean:+.1f} ± {100 * (found.high - found.mean):.1f} %"

"""`bandwall plan`: which layout on how many of which chips serves this traffic at least cost."""

import gc
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sim.cli.options import HtmlFile, JsonFile
from sim.cli.output import console, require_outputs, table, write_json, write_page
from sim.cli.sweep import BackendName, Workers, progress_bar
from sim.cli.wording import ABSENT, percent, significant

if TYPE_CHECKING:
    from rich.console import Console

    from sim.planning.plan.option import Option
    from sim.planning.plan.result import PlanResult

PlanFile = Annotated[Path, typer.Argument(metavar="PLAN", help="Plan file (YAML).", show_default=False)]
ScenarioTarget = Annotated[
    Path | None,
    typer.Option(
        "--scenario",
        metavar="FILE",
        help="Write one replica (or pair of pools) of the answer as a scenario that runs.",
        show_default=False,
    ),
]
RecordsFile = Annotated[
    Path | None,
    typer.Option(
        "--inferencex",
        metavar="FILE",
        help="Write every simulated run as an InferenceX record (JSON).",
        show_default=False,
    ),
]


Draws = Annotated[
    int | None,
    typer.Option(
        "--uncertainty",
        metavar="N",
        help="Draw what is uncertain N times: bands on the costs, and how often the first is the cheapest.",
        show_default=False,
    ),
]
BudgetText = Annotated[
    str | None,
    typer.Option(
        "--budget",
        metavar="AMOUNT",
        help="'10 MUSD', '400 USD/h', '1 MW' or '4 racks': what each candidate serves with the same.",
        show_default=False,
    ),
]


def plan(
    file: PlanFile,
    backend: BackendName = None,
    workers: Workers = None,
    json: JsonFile = None,
    html: HtmlFile = None,
    scenario: ScenarioTarget = None,
    inferencex: RecordsFile = None,
    uncertainty: Draws = None,
    budget: BudgetText = None,
) -> None:
    """Find the layout and the number of chips that serve a load within its SLO at least cost."""
    import sim

    require_outputs(file, json, html, scenario, inferencex, role="the plan")
    gc.enable()  # a plan runs long enough for cycles to count
    with progress_bar("layouts") as progress:
        result = sim.plan(
            file,
            uncertainty=uncertainty or 0,
            budget=budget,
            backend=backend,
            workers=workers,
            progress=progress,
        )
    write_json(json, result.to_json())
    if html is not None:
        write_page(html, sim.html_plan(result))
    if scenario is not None:
        result.scenario.write_resolved(scenario)
    if inferencex is not None:
        write_json(str(inferencex), result.inferencex())
    _print_plan(console(json), result)


def _print_plan(out: "Console", result: "PlanResult") -> None:
    best = result.best
    layouts = sum(s.layouts for s in result.searched)
    simulated = len(result.knees)
    title = f"{result.name}: {result.spec.model} at {result.spec.rate:g} requests/s"
    down = max(1, result.spec.servers_down)
    names = f"fleet layout KV USD/1M ±95% kW J/tok tok/s/chip /user headroom N+{down}"
    out.print(table(title, names.split(), [_row(option) for option in result.options], "lllrrrrrrrl"))
    for rejected in result.rejected:
        out.print(f"Out, {rejected.candidate}: {rejected.reason}", markup=False)
    out.print(f"{layouts:,} layouts looked at, {simulated} simulated", style="dim", markup=False)
    _print_certainty(out, result)
    _print_budget(out, result)
    _print_loss(out, best, down)
    _print_runner_up(out, result)
    _print_launch(out, result)


def _row(option: "Option") -> list[str]:
    cost = option.usd_per_million
    figures = ("joules_per_output_token", "tokens_per_s_per_chip", "tokens_per_s_per_user")
    return [
        option.fleet.replace(" > ", "\n  > "),
        option.unit.sizes().replace(" > ", "\n> "),
        option.unit.answers.layout.precision.kv_cache,
        significant(cost.mean),
        significant(cost.high - cost.mean),
        significant(option.kilowatts),
        *(significant(option.figures[name].mean) if name in option.figures else ABSENT for name in figures),
        ("≥ " if option.open else "") + percent(option.headroom),
        "yes" if option.loss.survives or any(option.spares) else f"+{option.loss.spare_servers} servers",
    ]


def _print_certainty(out: "Console", result: "PlanResult") -> None:
    if not result.certainty:
        return
    rows = [
        [
            *_row(option)[:2],
            *(significant(q) for q in (c.usd_per_million.p10, c.usd_per_million.p50, c.usd_per_million.p90)),
            f"{c.replicas.p10:.0f} … {c.replicas.p90:.0f}",
            percent(c.fails),
            percent(c.cheapest),
        ]
        for option, c in zip(result.options, result.certainty, strict=True)
    ]
    columns = ("fleet", "layout", "USD/1M P10", "P50", "P90", "replicas", "serves not", "cheapest")
    out.print(table("Under draws of what is uncertain", columns, rows, "llrrrrrr"))


def _print_budget(out: "Console", result: "PlanResult") -> None:
    if not result.spec.budget:
        return
    rows = [
        [
            fleet.unit.fleet(fleet.replicas),
            significant(fleet.served),
            f"× {fleet.share:.2f}",
            significant(fleet.bill.usd_per_hour),
            significant(fleet.bill.watts / 1e3),
            str(fleet.bill.racks),
        ]
        for fleet in result.budget
    ]
    columns = ("fleet", "requests/s", "of the load", "USD/h", "kW", "racks")
    out.print(table(f"With {result.spec.budget}", columns, rows))


def _print_loss(out: "Console", best: "Option", down: int) -> None:
    loss, spares = best.loss, sum(best.spares)
    if loss.survives:
        said = f"the {loss.replicas_left} replicas that are left carry the load"
    elif spares:
        said = f"{loss.replicas_left} replicas are left; {_servers(spares)}, paid for, for the rest"
    else:
        said = f"{loss.replicas_left} replicas are left, too few without {_servers(loss.spare_servers)}"
    out.print(f"With {'one server' if down == 1 else f'{down} servers'} down {said}.", markup=False)


def _servers(count: int) -> str:
    return "one spare server" if count == 1 else f"{count} spare servers"


def _print_launch(out: "Console", result: "PlanResult") -> None:
    out.print("\nOne replica is started by", markup=False)
    for name, command in result.launch.items():
        role = name.partition(", ")[2]
        out.print(f"  {role}: {command}" if role else f"  {command}", markup=False, soft_wrap=True)


def _print_runner_up(out: "Console", result: "PlanResult") -> None:
    needs = result.runner_up
    if needs is None:
        return
    said = f"{needs.candidate} would draw level at {percent(needs.price)} of its cost"
    if needs.replicas:
        said += f", or with {needs.rate:.2f} times the requests/s of a replica ({needs.replicas} of them)"
    out.print(f"{said}.", markup=False)

"""`bandwall run`: simulate serving, print what came out and what stops it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sim.cli.options import FidelityName, HtmlFile, JsonFile, ScenarioFile, Sets, TimelineFile, overrides
from sim.cli.output import console, require_outputs, table, write_json, write_page
from sim.cli.sensitivity import Vary, print_spread, varied
from sim.cli.sweep import progress_bar
from sim.cli.wording import significant

if TYPE_CHECKING:
    from rich.console import Console

    from sim import Outcome
    from sim.planning.money import Ownership, Rental
    from sim.planning.run_cost import RunCost

SeedNumber = Annotated[
    int | None, typer.Option("--seed", help="The same as --set seed=…", show_default=False)
]
RequestsFile = Annotated[
    Path | None,
    typer.Option(
        "--requests", metavar="FILE", help="Write one row per request: .csv or .parquet.", show_default=False
    ),
]
ResolvedFile = Annotated[
    Path | None,
    typer.Option(
        "--resolved",
        metavar="FILE",
        help="Where the resolved scenario goes; by default beside the JSON result.",
        show_default=False,
    ),
]
Draws = Annotated[
    int | None,
    typer.Option(
        "--uncertainty",
        metavar="N",
        help="Run again under N draws of every figure's range; prints P10, P50, P90 and what decides them.",
        show_default=False,
    ),
]


MoneyForm = Annotated[
    str | None,
    typer.Option(
        "--money",
        metavar="FORM",
        help="What the fleet costs, in USD and KRW: rental, ownership, or a file with the fields of a plan's "
        "'money'.",
        show_default=False,
    ),
]


def run(
    scenario: ScenarioFile,
    sets: Sets = None,
    fidelity: FidelityName = None,
    seed: SeedNumber = None,
    json: JsonFile = None,
    html: HtmlFile = None,
    requests: RequestsFile = None,
    resolved: ResolvedFile = None,
    timeline: TimelineFile = None,
    uncertainty: Draws = None,
    vary: Vary = None,
    money: MoneyForm = None,
) -> None:
    """Simulate serving a scenario: throughput, latency, goodput, and which resource bounds them."""
    import sim
    from sim.cli.run_tables import print_outcome

    require_outputs(scenario, json, html, requests, resolved, timeline)
    if requests is not None:
        from sim.metrics import require_request_format

        require_request_format(requests)
    loaded = sim.load(scenario, overrides(sets, fidelity, seed))
    terms = None if money is None else _terms(money)
    outcome = sim.simulate(loaded)
    record = outcome.to_json()
    cost = None if terms is None else sim.run_cost(outcome, terms)
    if cost is not None:
        record = record | {"money": cost.to_json()}
    spread = None
    if uncertainty is not None:
        with progress_bar("draws") as progress:
            spread = sim.uncertainty(outcome.scenario, uncertainty, vary=varied(vary), progress=progress)
        record = record | {"uncertainty": spread.to_json()}
    write_json(json, record)
    _write_resolved(outcome, json, resolved)
    if requests is not None:
        outcome.write_requests(requests)
    if html is not None:
        write_page(html, sim.html_report(outcome, spread))
    thinned = sim.write_run_trace(outcome, timeline) if timeline is not None else ()
    out = console(json)
    print_outcome(out, outcome)
    if cost is not None:
        _print_cost(out, cost)
    for sentence in thinned:
        out.print(f"{timeline}: {sentence}", markup=False)
    if spread is not None:
        print_spread(out, spread)


def _terms(text: str) -> "Rental | Ownership":
    from sim.planning.run_cost import read_money  # with all that only money needs

    return read_money(text)


def _print_cost(out: "Console", cost: "RunCost") -> None:
    fleet = cost.bill
    rows = [(f"{cause}, an hour", usd) for cause, usd in fleet.parts.items()]
    rows += [("in all, an hour", fleet.usd_per_hour)] if len(rows) > 1 else []
    rows += [] if cost.usd_per_million is None else [("1M output tokens", cost.usd_per_million)]
    shown = [(title, significant(usd), f"{usd * fleet.krw_per_usd:,.0f}") for title, usd in rows]
    out.print(table("What the fleet costs", ("", "USD", "KRW"), shown, "lrr"))
    racks = "one rack" if fleet.racks == 1 else f"{fleet.racks} racks"
    out.print(f"{significant(fleet.watts / 1e3)} kW at the meter, {racks}", markup=False)


def _write_resolved(outcome: "Outcome", json: str | None, resolved: Path | None) -> None:
    """The resolved scenario lies beside every result that is written."""
    if resolved is None and json is not None and json != "-":
        resolved = Path(json).with_suffix(".scenario.yaml")
    if resolved is not None:
        outcome.scenario.write_resolved(resolved)

"""`bandwall validate serving`: whole engines against measured serving cases."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sim.cli.options import HtmlFile, JsonFile
from sim.cli.output import console, require_outputs, table, write_json, write_page
from sim.cli.wording import percent, significant

if TYPE_CHECKING:
    from rich.console import Console

    from sim.validation.serving import ServingReport
    from sim.validation.serving.goals import Goal
    from sim.validation.serving.statistics import Cell

SHOWN_GROUPS = 20
SHOWN_CELLS = 8
_SIDES = ("category", "model", "gpu", "engine", "regime")

Cases = Annotated[
    list[Path],
    typer.Argument(metavar="CASES…", help="Catalogues of measured cases (JSON lines).", show_default=False),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs", metavar="N", min=1, help="Processes; by default one per core.", show_default=False
    ),
]
Only = Annotated[
    str, typer.Option("--only", metavar="TEXT", help="Only cases whose id contains this.", show_default=False)
]
CsvFile = Annotated[
    Path | None,
    typer.Option("--csv", metavar="FILE", help="Write one line per metric and case.", show_default=False),
]


def serving(
    files: Cases,
    jobs: Jobs = None,
    only: Only = "",
    json: JsonFile = None,
    csv: CsvFile = None,
    html: HtmlFile = None,
) -> None:
    """Run measured cases as they were measured, and compare throughput and latencies."""
    import sim

    require_outputs(None, json, csv, html)
    report = sim.validate_serving(files, jobs=jobs or os.cpu_count() or 1, only=only)
    write_json(json, report.to_json())
    if csv is not None:
        from sim import documents

        documents.write_text(csv, report.to_csv())
    if html is not None:
        write_page(html, sim.html_validate_serving(report))
    _print(console(json), report)


def _print(out: "Console", report: "ServingReport") -> None:
    shown = report.groups[:SHOWN_GROUPS]
    rows = [(*cell.keys.values(), *_numbers(cell)) for cell in shown]
    columns = ("metric", *_SIDES, "n", "median %", "90 %", "bias")
    title = f"The worst {len(shown)} of {len(report.groups)} groups: |error|, worst median first"
    out.print(table(title, columns, rows, "l" * 6 + "r" * 4))
    for side in _SIDES:
        _print_cells(out, f"By metric and {side}, the worst {SHOWN_CELLS}", side, report)
    _print_goals(out, report.goals)
    ranks = report.ranking
    out.print(
        f"Ranking: {ranks.right} of {ranks.pairs} pairs of configurations of one model "
        f"({percent(ranks.share)}) have the faster one in front"
    )
    _print_distributions(out, report)
    out.print(f"{report.cases - len(report.skipped)} of {report.cases} cases ran")
    for reason, count in report.reasons:
        out.print(f"Left out, {count} cases: {reason}", markup=False)


def _print_cells(out: "Console", title: str, side: str, report: "ServingReport") -> None:
    cells = report.by("metric", side)[:SHOWN_CELLS]
    rows = [(*cell.keys.values(), *_numbers(cell)) for cell in cells]
    out.print(table(title, ("metric", side, "n", "median %", "90 %", "bias"), rows, "llrrrr"))


def _print_goals(out: "Console", goals: "Iterable[Goal]") -> None:
    rows: list[Sequence[str]] = []
    for goal in goals:
        if goal.all is None:
            continue
        cell, best = goal.all, goal.best
        low, high = cell.interval
        rows.append((
            goal.name,
            *_numbers(cell),
            f"{significant(low)} … {significant(high)}",
            "" if cell.site_spread is None else significant(cell.site_spread),
            "" if best is None else f"{significant(best.median_ape)} ({best.n})",
        ))  # fmt: skip
    columns = (
        "quality A and B", "n", "median %", "90 %", "bias", "90 % of medians", "sites apart %", "quality A",
    )  # fmt: skip
    out.print(table("Whole engines", columns, rows, "lrrrrrrr"))


def _print_distributions(out: "Console", report: "ServingReport") -> None:
    rows = [
        (
            d.id,
            d.what,
            str(d.n),
            *(f"{significant(d.measured[s])} / {significant(d.simulated[s])}" for s in d.measured),
            percent(d.distance),
        )
        for d in report.distributions
    ]
    if rows:
        columns = ("case", "", "n", "mean", "p50", "p90", "p99", "distance")
        out.print(table("Per-request records, ms: measured / simulated", columns, rows, "llrrrrrr"))
    queue = [
        (o.id, o.what, significant(o.measured), significant(o.simulated), significant(o.difference))
        for o in report.over_time
    ]
    if queue:
        columns = ("case", "requests", "measured", "simulated", "mean difference")
        out.print(table("Over time", columns, queue, "llrrr"))


def _numbers(cell: "Cell") -> tuple[str, str, str, str]:
    return str(cell.n), significant(cell.median_ape), significant(cell.p90_ape), significant(cell.bias)

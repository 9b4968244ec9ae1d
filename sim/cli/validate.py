"""`bandwall validate scheduler | memory | network | operators | serving`: against recorded decisions of the
real scheduler, public DRAM simulators, measured collectives and operators, and measured serving cases."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sim.cli.options import JsonFile
from sim.cli.output import console, require_outputs, table, write_json
from sim.cli.validate_operators import operators
from sim.cli.validate_serving import serving
from sim.cli.wording import percent, significant

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from sim.validation.agreement import Agreement

SHOWN_GROUPS = 20

verbs = typer.Typer(help="Against references and silicon.")
verbs.command()(operators)
verbs.command()(serving)

Files = Annotated[
    list[Path], typer.Argument(metavar="FILE…", help="Recorded cases (JSON).", show_default=False)
]

References = Annotated[
    list[Path],
    typer.Argument(metavar="FILE…", help="Rows of a reference (CSV).", show_default=False),
]
Tables = Annotated[
    list[Path],
    typer.Argument(metavar="TABLE…", help="Measured rows (parquet).", show_default=False),
]
Configs = Annotated[
    Path,
    typer.Option(
        "--configs",
        metavar="DIR",
        help="The folder of the configurations (JSON) that the rows name.",
        show_default=False,
    ),
]
Every = Annotated[int, typer.Option("--every", metavar="N", min=1, help="Take every N-th row only.")]


@verbs.callback()
def against() -> None:
    """Against references and silicon."""


@verbs.command()
def scheduler(files: Files, json: JsonFile = None) -> None:
    """Reproduce recorded scheduler decisions step by step; exit code 1 if any case differs."""
    import sim

    report = sim.validate_scheduler(files)
    write_json(json, report.to_json())
    rows = [(d.case, "" if d.step is None else str(d.step), d.what) for d in report.differing]
    out = console(json)
    if rows:
        out.print(table("Differing cases", ("case", "step", "what"), rows, "lrl"))
    out.print(f"{report.identical} of {report.cases} cases are identical, step by step")
    if rows:
        raise typer.Exit(1)


@verbs.command()
def memory(files: References, configs: Configs, every: Every = 1, json: JsonFile = None) -> None:
    """Serve the requests of DRAM simulators' rows on the same configurations, and compare."""
    import sim

    require_outputs(None, json)
    report = sim.validate_memory(files, configs, every=every)
    write_json(json, report.to_json())
    out = console(json)
    shown = report.groups[:SHOWN_GROUPS]
    rows = [(*g.keys.values(), str(g.n), significant(g.mape), percent(g.within)) for g in shown]
    columns = ("pattern", "dram", "simulator", "metric", "n", "error %", "within")
    title = (
        f"The worst {len(shown)} of {len(report.groups)} groups: mean error, share of rows within tolerance"
    )
    out.print(table(title, columns, rows, "llllrrr"))
    _print_agreement(out, "By pattern, worst first", ("pattern", "metric"), report.patterns)
    _print_agreement(out, "All rows", ("metric",), report.overall)
    for reason, rows_left_out in report.skipped.items():
        out.print(f"Left out, {rows_left_out} rows: {reason}", markup=False)


@verbs.command()
def network(tables: Tables, json: JsonFile = None) -> None:
    """Price measured collectives and expert exchanges, and compare: worst groups first."""
    import sim

    require_outputs(None, json)
    report = sim.validate_network(tables)
    write_json(json, report.to_json())
    out = console(json)
    _print_agreement(
        out, "By group, worst first", ("operator", "chip", "dtype", "stack"), report.groups[:SHOWN_GROUPS]
    )
    _print_agreement(out, "By chip and operator", ("chip", "operator"), report.overall)
    for reason, rows_left_out in report.skipped.items():
        out.print(f"Left out, {rows_left_out} rows: {reason}", markup=False)


def _print_agreement(
    out: "Console", title: str, keys: "Sequence[str]", groups: "Iterable[Agreement]"
) -> None:
    rows = [
        (
            *(group.keys[key] for key in keys),
            str(group.n),
            *(significant(error) for error in (group.mape, group.median_ape, group.p90_ape, group.bias)),
            percent(group.within),
        )
        for group in groups
    ]
    columns = (*keys, "n", "mean error %", "median", "90 %", "bias", "within tolerance")
    out.print(table(title, columns, rows, "l" * len(keys) + "r" * 6))

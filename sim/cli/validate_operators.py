"""`bandwall validate operators`: measured tables of single operators against the analytic model."""

from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sim.cli.options import HtmlFile, JsonFile
from sim.cli.output import console, require_outputs, table, write_json, write_page
from sim.cli.wording import significant

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from sim.validation.agreement import Agreement

SHOWN_GROUPS = 20
SHOWN_STEPS = 10

Tables = Annotated[
    list[Path],
    typer.Argument(
        metavar="TABLE…",
        help="Measured tables of operators: Parquet or CSV files, aiconfigurator:CHIP/STACK.",
        show_default=False,
    ),
]
ParameterChoice = Annotated[
    str,
    typer.Option(
        "--parameters",
        metavar="WHICH",
        help="Kernel parameters that may be used: profile (as shipped), prior (of an unmeasured chip), "
        "family:CHIP (another chip's, the datasheet swapped), or a profile's FILE.",
    ),
]
Samples = Annotated[
    int,
    typer.Option(
        "--samples",
        metavar="N",
        min=0,
        help="Draws of what is uncertain, for the share of rows within the model's P10 to P90; 0: none.",
    ),
]
Every = Annotated[int, typer.Option("--every", metavar="N", min=1, help="Take every N-th row only.")]


def operators(
    tables: Tables,
    parameters: ParameterChoice = "profile",
    every: Every = 1,
    samples: Samples = 0,
    json: JsonFile = None,
    html: HtmlFile = None,
) -> None:
    """Price every operator of measured tables, and compare with the silicon."""
    import sim
    from sim.validation.operators.steps import KEYS as STEP_KEYS
    from sim.validation.operators.steps import step_agreement

    require_outputs(None, json, html)
    report = sim.validate_operators(tables, parameters_name=parameters, every=every, samples=samples)
    write_json(json, report.to_json())
    if html is not None:
        write_page(html, sim.html_operators(report))
    out = console(json)
    out.print(f"Parameters: {report.provenance}", markup=False)
    shown = report.groups[:SHOWN_GROUPS]
    keys = ("operator", "chip", "dtype", "stack")
    _print_errors(out, f"The worst {len(shown)} of {len(report.groups)} groups", keys, shown)
    _print_errors(out, "By operator, worst first", ("operator",), report.overall)
    if report.steps:
        keys = ("chip", "phase")
        _print_errors(
            out, "Sum over a step, composed of the tables", keys, step_agreement(report.steps, keys)
        )
        shown = step_agreement(report.steps)[:SHOWN_STEPS]
        _print_errors(out, f"Its worst {len(shown)} groups", STEP_KEYS, shown)
    for reason, rows_left_out in report.skipped.items():
        out.print(f"Left out, {rows_left_out:,} rows: {reason}", markup=False)


def _print_errors(out: "Console", title: str, keys: "Sequence[str]", groups: "Iterable[Agreement]") -> None:
    rows = [
        (
            *(group.keys[key] for key in keys),
            f"{group.n:,}",
            *(significant(error) for error in (group.mape, group.median_ape, group.p90_ape)),
            f"{group.bias:+.1f}",
            *(() if isnan(group.within) else (f"{100 * group.within:.0f}",)),
        )
        for group in groups
    ]
    drawn = bool(rows) and len(rows[0]) > len(keys) + 5
    columns = (*keys, "n", "mean error %", "median", "90 %", "bias", *(("in band %",) if drawn else ()))
    out.print(table(title, columns, rows, "l" * len(keys) + "r" * (len(columns) - len(keys))))

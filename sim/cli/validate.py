"""`bandwall validate scheduler`: the engine against recorded decisions of the real scheduler."""

from pathlib import Path
from typing import Annotated

import typer

from sim.cli.options import JsonFile
from sim.cli.output import console, table, write_json

verbs = typer.Typer(help="Against references and silicon.")

Files = Annotated[
    list[Path], typer.Argument(metavar="FILE…", help="Recorded cases (JSON).", show_default=False)
]


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

"""`bandwall calibrate`: from measurements to a chip's profile."""

from pathlib import Path
from typing import Annotated

import typer

from sim.cli.options import JsonFile
from sim.cli.output import console, require_outputs, table, write_json
from sim.cli.wording import significant

Tables = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[TABLE…]",
        help="Measured tables of operators: Parquet or CSV files, aiconfigurator:CHIP/STACK.",
        show_default=False,
    ),
]
ChipName = Annotated[
    str,
    typer.Option(
        "--chip", metavar="NAME|FILE", help="The chip whose figures are the priors.", show_default=False
    ),
]
Output = Annotated[
    Path, typer.Option("--output", metavar="PROFILE.yaml", help="The profile to write.", show_default=False)
]
Microbenchmark = Annotated[
    bool,
    typer.Option("--microbenchmark", help="Measure the device that PyTorch sees, instead of reading tables."),
]


def calibrate(
    chip: ChipName,
    output: Output,
    tables: Tables = None,
    microbenchmark: Microbenchmark = False,
    json: JsonFile = None,
) -> None:
    """Fit a chip's few free kernel parameters to measurements, and write its profile."""
    import sim
    from sim import documents
    from sim.errors import UserError

    if microbenchmark == bool(tables):
        raise UserError("calibrate needs measured tables, or --microbenchmark to measure by itself; give one")
    require_outputs(None, json, output)
    found, profile = sim.calibrate_device(chip) if microbenchmark else sim.calibrate(tables or [], chip)
    documents.write_text(output, profile)
    write_json(json, found.to_json())
    out = console(json)
    rows = [
        (
            c.name,
            f"{c.n:,}",
            name,
            c.priors[name].text(),
            figure.text(),
            f"{significant(c.before)} → {significant(c.after)}",
        )
        for c in found.classes
        for name, figure in c.figures.items()
    ]
    columns = ("class", "rows", "parameter", "prior", "fitted", "mean error %")
    out.print(table(f"{found.chip}: parameters fitted, written to {output.name}", columns, rows, "lrllll"))
    for reason, n in found.skipped.items():
        out.print(f"Left out, {n:,} rows: {reason}", markup=False)

"""`bandwall schema`: the scenario's JSON Schema, for editors that complete and check YAML."""

from pathlib import Path
from typing import Annotated

import typer

from sim.cli.output import write_json

Target = Annotated[
    Path | None,
    typer.Argument(metavar="FILE", help="Where to write it; standard output otherwise.", show_default=False),
]


def schema(file: Target = None) -> None:
    """Print the JSON Schema of scenario files."""
    import sim

    write_json("-" if file is None else str(file), sim.json_schema())

"""The verbs of `bandwall`, each in a file of its own. Nothing heavy is imported before a verb runs."""

from typing import Annotated

import typer

from sim.cli import hardware, memory, models, validate
from sim.cli.calibrate import calibrate
from sim.cli.compare import compare
from sim.cli.corpus import corpus
from sim.cli.explain import explain
from sim.cli.national import national
from sim.cli.network import network
from sim.cli.plan import plan
from sim.cli.pools import pools
from sim.cli.review import review
from sim.cli.run import run
from sim.cli.schema import schema
from sim.cli.sensitivity import sensitivity
from sim.cli.sweep import sweep
from sim.version import __version__

app = typer.Typer(
    name="bandwall",
    help="How fast, and at what cost, will these chips serve this model, and what stops them?",
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"bandwall {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """How fast, and at what cost, will these chips serve this model, and what stops them?"""


app.command()(run)
app.command()(explain)
app.command()(sweep)
app.command()(plan)
app.command()(national)
app.command()(corpus)
app.command()(pools)
app.command()(review)
app.command()(sensitivity)
app.command()(compare)
app.add_typer(hardware.verbs, name="hardware")
app.add_typer(models.verbs, name="models")
app.add_typer(memory.verbs, name="memory")
app.command()(network)
app.add_typer(validate.verbs, name="validate")
app.command()(calibrate)
app.command()(schema)

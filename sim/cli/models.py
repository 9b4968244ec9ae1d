"""`bandwall models list | show | check`: the catalogue of models, and a user's own file."""

from typing import TYPE_CHECKING, Annotated

import typer

from sim.cli.options import JsonFile
from sim.cli.output import console, print_table, write_json
from sim.cli.wording import amount

if TYPE_CHECKING:
    from sim.models import ModelDescription

verbs = typer.Typer(help="Models: list, show, check.")

Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="Catalogue name, a path to our form or to a Hugging Face config.json, or a hub id.",
        show_default=False,
    ),
]


@verbs.command("list")
def list_all(json: JsonFile = None) -> None:
    """List the models of the catalogue."""
    import sim

    models = sim.list_models()
    columns = ("model", "title", "total", "active", "bf16", "fp8", "KV B/token", "context")
    rows = [
        (
            m.name,
            m.title,
            _billions(m.total_params),
            _billions(m.active_params),
            amount(m.weight_bytes["bf16"]),
            amount(m.weight_bytes["fp8"]),
            f"{m.kv_bytes_per_token['bf16']:,.0f}",
            f"{m.context:,}",
        )
        for m in models
    ]
    print_table(console(json), "Models", columns, rows, text_columns=2)
    write_json(json, [m.to_json() for m in models])


@verbs.command()
def show(name: Name, json: JsonFile = None) -> None:
    """Print a model's parameters, bytes by precision and FLOPs per token by context."""
    import sim

    _print(sim.describe_model(name), json)


@verbs.command()
def check(name: Name, json: JsonFile = None) -> None:
    """Check a model of your own; an architecture that is not understood is refused, never guessed."""
    import sim

    _print(sim.describe_model(name), json)
    console(json).print(f"{name} is understood", markup=False)


def _print(model: "ModelDescription", json: str | None) -> None:
    out = console(json)
    write_json(json, model.to_json())


def _billions(count: float) -> str:
    return f"{count / 1e9:,.1f} B"

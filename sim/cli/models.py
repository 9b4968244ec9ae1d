"""`bandwall models list | show | check`: the catalogue of models, and a user's own file."""

from typing import TYPE_CHECKING, Annotated

import typer

from sim.cli.options import JsonFile
from sim.cli.output import console, table, write_json
from sim.cli.wording import ABSENT, amount, significant

if TYPE_CHECKING:
    from rich.console import Console

    from sim.models.describe import ModelDescription

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
    write_json(json, [m.to_json() for m in models])
    columns = ("model", "", "total B", "active B", "fp8", "bf16", "KV B/token", "context")
    rows = [
        (
            m.name,
            m.title,
            significant(m.total_params / 1e9),
            significant(m.active_params / 1e9),
            amount(m.weight_bytes["fp8"]),
            amount(m.weight_bytes["bf16"]),
            f"{m.kv_bytes_per_token['bf16']:,.0f}",
            f"{m.context:,}",
        )
        for m in models
    ]
    console(json).print(table("Models", columns, rows, "llrrrrrr"))


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
    write_json(json, model.to_json())
    out = console(json)
    out.print(f"{model.title or model.name}: {model.source}", markup=False)
    layers = [(text,) for text in model.layers]
    out.print(table("Layers", ("",), layers))
    _counts(out, model)
    _bytes(out, model)
    flops = [(f"{c:,}", significant(f / 1e9)) for c, f in model.flops_per_token.items()]
    out.print(table("GFLOP per decoded token by context", ("context", "GFLOP"), flops, "rr"))


def _counts(out: "Console", model: "ModelDescription") -> None:
    total, active = model.total_params, model.active_params
    rows = [(kind, f"{count:,}", "") for kind, count in model.params_by_kind.items() if count]
    rows += [
        ("total", f"{total:,}", _published(model.published_total, model.total_vs_published)),
        ("active", f"{active:,}", _published(model.published_active, model.active_vs_published)),
    ]
    if model.mtp_params:
        rows.append(("MTP modules, beside the total", f"{model.mtp_params:,}", ""))
    out.print(table("Parameters", ("kind", "count", "published"), rows))


def _published(count: float | None, apart: float | None) -> str:
    if count is None or apart is None:
        return ABSENT
    return f"{significant(count / 1e9)} B ({apart:+.1%})"


def _bytes(out: "Console", model: "ModelDescription") -> None:
    expanded = model.kv_bytes_per_token_expanded
    rows = [
        (
            dtype,
            amount(size),
            amount(model.weight_bytes_deployed[dtype]),
            f"{model.kv_bytes_per_token[dtype]:,.0f}",
            ABSENT if expanded is None else f"{expanded[dtype]:,.0f}",
        )
        for dtype, size in model.weight_bytes.items()
    ]
    columns = ("type", "all weights", "as deployed", "KV B/token", "MLA expanded")
    out.print(table("Bytes by precision", columns, rows))
    if model.state_bytes_per_sequence:
        out.print(f"Recurrent state: {model.state_bytes_per_sequence:,} B per sequence", markup=False)

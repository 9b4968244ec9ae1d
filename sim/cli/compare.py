"""`bandwall compare`: two scenarios or results, and which difference going in explains what comes out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sim.cli.options import HtmlFile, JsonFile
from sim.cli.output import console, require_outputs, table, write_json, write_page
from sim.cli.sweep import BackendName, Workers, progress_bar
from sim.cli.wording import ABSENT, percent, significant

if TYPE_CHECKING:
    from rich.console import Console

    from sim.planning.compare import Comparison

SHOWN_INPUTS, LONGEST = 20, 40

Side = Annotated[
    Path, typer.Argument(help="Scenario, or a result (JSON) with its scenario beside it.", show_default=False)
]


def compare(
    a: Side,
    b: Side,
    backend: BackendName = None,
    workers: Workers = None,
    json: JsonFile = None,
    html: HtmlFile = None,
) -> None:
    """Say what differs between two scenarios, going in and coming out, and which cause explains how much."""
    import sim

    require_outputs(a, json, html)
    with progress_bar("runs") as progress:
        found = sim.compare(a, b, backend=backend, workers=workers, progress=progress)
    write_json(json, found.to_json())
    if html is not None:
        write_page(html, sim.html_compare(found))
    _print_comparison(console(json), found)


def _print_comparison(out: "Console", found: "Comparison") -> None:
    from sim.planning.outputs import BY_NAME

    rows = [(d.path, _short(d.a), _short(d.b)) for d in found.inputs[:SHOWN_INPUTS]]
    out.print(table(f"Going in: {len(found.inputs)} differences", ("", "A", "B"), rows, "lll"))
    if not found.causes:
        out.print("Nothing differs that has an effect.", markup=False)
        return
    shares = [
        (
            f"{BY_NAME[c.output].title} {BY_NAME[c.output].unit}".rstrip(),
            significant(c.a),
            significant(c.b),
            _change(c.a, c.b),
            *(f"{share:+.3g}" for share in c.shares.values()),
        )
        for c in found.outputs
        if c.a != c.b
    ]
    columns = ("coming out", "A", "B", "B − A", *(cause.replace(".", ".\n") for cause in found.causes))
    out.print(table(f"Shares of the difference, from {found.runs} runs", columns, shares))
    if found.merged:
        out.print("Causes were merged: finer ones are too many, or impossible together.", markup=False)


def _change(a: float, b: float) -> str:
    """The change from a to b: in percent, as a factor from ten times on."""
    if not a:
        return ABSENT
    return percent(b / a - 1.0) if abs(b / a) < 10.0 else f"× {b / a:.3g}"


def _short(value: object) -> str:
    if isinstance(value, dict) and "value" in value:
        value = value["value"]  # pyright: ignore[reportUnknownVariableType]
    text = ABSENT if value is None else str(value)  # pyright: ignore[reportUnknownArgumentType]
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"

"""`bandwall review`: what a chip is worth for a model, what binds it, and what the next one must have."""

import gc
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sim.cli.options import HtmlFile, JsonFile, Sets
from sim.cli.output import console, require_outputs, table, write_json, write_page
from sim.cli.sweep import progress_bar
from sim.cli.wording import layout, significant

if TYPE_CHECKING:
    from rich.console import Console

    from sim import Review, Scenario

SHOWN_INFLUENCES = 8

ReviewedFile = Annotated[
    Path | None,
    typer.Argument(metavar="[SCENARIO]", help="Scenario file (YAML or JSON).", show_default=False),
]
Model = Annotated[
    str | None, typer.Option("--model", help="Instead of a scenario: a model …", show_default=False)
]
OnCluster = Annotated[
    str | None,
    typer.Option(
        "--cluster", help="… on a cluster, in the layout that serves a user fastest.", show_default=False
    ),
]
Batch = Annotated[
    int | None,
    typer.Option("--batch", metavar="N", help="Users of a replica at once; 64.", show_default=False),
]
Prompt = Annotated[
    int | None,
    typer.Option(
        "--prompt", metavar="T", help="Tokens of a prompt; the workload's mean.", show_default=False
    ),
]
Answer = Annotated[
    int | None,
    typer.Option(
        "--output", metavar="T", help="Tokens of an answer; the workload's mean.", show_default=False
    ),
]
Targets = Annotated[
    list[str] | None,
    typer.Option(
        "--target",
        metavar="BOUND",
        help="What it takes to reach this: 'tokens/s/user >= 30 and ttft <= 1 s', 'usd/M tokens <= 0.5' …; "
        "repeatable.",
        show_default=False,
    ),
]
Parity = Annotated[
    str, typer.Option("--parity", metavar="CLUSTER", help="What to compare with; parity is a target too.")
]
Draws = Annotated[
    int, typer.Option("--samples", metavar="N", help="Draws of what is uncertain, for the bands.")
]


def review(
    scenario: ReviewedFile = None,
    model: Model = None,
    cluster: OnCluster = None,
    sets: Sets = None,
    batch: Batch = None,
    prompt: Prompt = None,
    output: Answer = None,
    target: Targets = None,
    parity: Parity = "h200-hgx",
    samples: Draws = 64,
    json: JsonFile = None,
    html: HtmlFile = None,
) -> None:
    """Review a chip or cluster for a model: what binds, what decides, what the next chip must have."""
    import sim

    require_outputs(scenario, json, html)
    gc.enable()  # a review runs long enough for cycles to count
    reviewed = _scenario(scenario, model, cluster, sets, (batch, prompt, output))
    with progress_bar("parts") as progress:
        found = sim.review(
            reviewed, batch=batch, prompt=prompt, output=output, targets=target or (), parity=parity,
            samples=samples, progress=progress,
        )  # fmt: skip
    write_json(json, found.to_json())
    if html is not None:
        write_page(html, sim.html_review(found))
    _print_review(console(json), found)


def _scenario(
    file: Path | None,
    model: str | None,
    cluster: str | None,
    sets: list[str] | None,
    point: tuple[int | None, int | None, int | None],
) -> "Scenario":
    """The scenario in a file, or one for a model on a cluster."""
    import sim
    from sim.errors import UserError
    from sim.planning.review.point import default_point

    if file is not None:
        if model is not None or cluster is not None:
            raise UserError("give a scenario, or --model and --cluster; not both")
        return sim.load(file, sets or ())
    if model is None or cluster is None:
        raise UserError("give a scenario, or both --model and --cluster")
    return sim.scenario_for(model, cluster, default_point(*point), tuple(sets or ()))


def _print_review(out: "Console", found: "Review") -> None:
    from sim.planning.review.verdict import verdict

    out.print(layout(found.machine.deployment), style="bold", markup=False)
    for said in verdict(found):
        out.print(f"\n{said}", markup=False)
    rows = [
        (
            one.name,
            one.basis,
            one.text,
            " … ".join(map(significant, one.per_user)),
        )
        for one in sorted(found.sureness.influences, key=lambda i: -i.swing)[:SHOWN_INFLUENCES]
    ]
    out.print()
    out.print(table("What decides a user's tokens/s", ("figure", "basis", "range", "tokens/s"), rows, "llll"))

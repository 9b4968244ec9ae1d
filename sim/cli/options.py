"""Options that several verbs share, with one meaning everywhere."""

from pathlib import Path
from typing import Annotated

import typer

ScenarioFile = Annotated[
    Path, typer.Argument(metavar="SCENARIO", help="Scenario file (YAML or JSON).", show_default=False)
]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        help="Change a value of the resolved scenario, as in cluster.chip.memory.bandwidth=6TB/s; "
        "x1.2 scales. Repeatable, left to right.",
        show_default=False,
    ),
]
FidelityName = Annotated[
    str | None,
    typer.Option(
        "--fidelity",
        help="roofline, analytic, event or tables; the same as --set fidelity=…",
        show_default=False,
    ),
]
JsonFile = Annotated[
    str | None,
    typer.Option(
        "--json",
        metavar="FILE",
        help="Write the result as JSON; - is standard output, tables then go to standard error.",
        show_default=False,
    ),
]
HtmlFile = Annotated[
    Path | None,
    typer.Option("--html", metavar="FILE", help="Write one self-contained page.", show_default=False),
]
TimelineFile = Annotated[
    Path | None,
    typer.Option(
        "--timeline",
        metavar="FILE",
        help="Write the timeline as trace events, for ui.perfetto.dev.",
        show_default=False,
    ),
]


def overrides(sets: list[str] | None, fidelity: str | None, seed: int | None = None) -> list[str]:
    """All `--set`s, the dedicated options last, since a dedicated option is the more deliberate one."""
    asked = list(sets or ())
    if fidelity is not None:
        asked.append(f"fidelity={fidelity}")
    if seed is not None:
        asked.append(f"seed={seed}")
    return asked

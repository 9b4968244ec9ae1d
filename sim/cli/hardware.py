"""`bandwall hardware list | show | check`: the catalogue of chips and clusters, and a user's own profile."""

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from sim.cli.options import JsonFile
from sim.cli.output import console, print_table, write_json

if TYPE_CHECKING:
    from sim.figures import Assumption

verbs = typer.Typer(help="Chips and clusters: list, show, check.", no_args_is_help=False)

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="Catalogue name, or a path to a profile.", show_default=False)
]


@verbs.command("list")
def list_all(json: JsonFile = None) -> None:
    """List the chips and clusters of the catalogue."""
    import sim

    catalogue = sim.list_hardware()
    out = console(json)
    columns = ("chip", "vendor", "bf16", "fp8", "memory", "bandwidth", "assumed")
    rows = [
        (
            chip.name,
            chip.vendor,
            _rate(chip.compute.peak.get("bf16")),
            _rate(chip.compute.peak.get("fp8")),
            f"{chip.memory.capacity / 2**30:.0f} GiB",
            f"{chip.memory.bandwidth / 1e12:.2f} TB/s",
            _assumed(assumptions),
        )
        for chip, assumptions in catalogue.chips
    ]
    print_table(out, "Chips", columns, rows, text_columns=2)
    boxes = [
        (c.name, c.title, str(c.chips), c.chip.name, " · ".join(f"{t.name} {t.domain}" for t in c.tiers))
        for c, _ in catalogue.clusters
    ]
    print_table(out, "Clusters", ("cluster", "", "chips", "chip", "tiers"), boxes, text_columns=2)
    write_json(json, catalogue.to_json())


@verbs.command()
def show(name: Name, json: JsonFile = None) -> None:
    """Print every figure of a chip or cluster with its range, basis and source."""
    import sim

    _print(sim.describe_hardware(name), json)


@verbs.command()
def check(name: Name, json: JsonFile = None) -> None:
    """Check a profile of your own; prints what it was understood as."""
    import sim

    profile = sim.describe_hardware(name)
    _print(profile, json)
    console(json).print(f"{name} is a valid {profile.kind} profile")


def _print(profile: "sim.HardwareProfile", json: str | None) -> None:  # noqa: F821
    out = console(json)
    rows = [(a.path, a.text, a.basis, a.source) for a in profile.assumptions]
    print_table(out, profile.title, ("figure", "value", "basis", "source"), rows, text_columns=4)
    write_json(json, profile.to_json())


def _rate(flops: float | None) -> str:
    return "–" if flops is None else f"{flops / 1e12:,.0f} TFLOP/s"


def _assumed(assumptions: "list[Assumption]") -> str:
    counts = Counter(a.basis for a in assumptions)
    return f"{counts['assumption'] + counts['unstated']} of {len(assumptions)}"

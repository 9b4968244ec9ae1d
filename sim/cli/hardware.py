"""`bandwall hardware list | show | check`: the catalogue of chips and clusters, and a user's own profile."""

from typing import TYPE_CHECKING, Annotated

import typer

from sim.cli.options import JsonFile
from sim.cli.output import console, table, write_json
from sim.cli.wording import ABSENT

if TYPE_CHECKING:
    from sim import HardwareProfile
    from sim.hardware.cluster import Tier

verbs = typer.Typer(help="Chips and clusters: list, show, check.")

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="Catalogue name, or a path to a profile.", show_default=False)
]


@verbs.command("list")
def list_all(json: JsonFile = None) -> None:
    """List the chips and clusters of the catalogue."""
    import sim

    profiles = sim.list_hardware()
    write_json(json, [profile.to_json() for profile in profiles])
    out = console(json)
    chips = [_chip_row(p) for p in profiles if p.cluster is None]
    columns = ("chip", "vendor", "bf16 TFLOP/s", "fp8 TFLOP/s", "GiB", "TB/s", "assumed")
    out.print(table("Chips", columns, chips, "llrrrrr"))
    clusters = [
        (c.name, c.title, c.chip.name, " · ".join(map(_tier, c.tiers)), str(c.chips))
        for c in (profile.cluster for profile in profiles)
        if c is not None
    ]
    out.print(table("Clusters", ("cluster", "", "chip", "tiers", "chips"), clusters, "llllr"))


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
    out = console(json)
    for remark in profile.remarks:
        out.print(f"Note: {remark}", markup=False)
    out.print(f"{name} is a valid {profile.kind} profile", markup=False)


def _print(profile: "HardwareProfile", json: str | None) -> None:
    write_json(json, profile.to_json())
    rows = [(a.path, a.text, a.basis, a.source) for a in profile.assumptions]
    title = f"{profile.title}: {profile.assumed} of {len(rows)} figures are assumptions"
    out = console(json)
    out.print(table(title, ("figure", "value", "basis", "source"), rows, "llll"))
    if profile.memory_text:
        out.print(profile.memory_text, markup=False, soft_wrap=True)


def _chip_row(profile: "HardwareProfile") -> tuple[str, ...]:
    chip = profile.chip
    return (
        chip.name,
        chip.vendor,
        *(_teraflops(chip.compute.peak.get(dtype)) for dtype in ("bf16", "fp8")),
        f"{chip.memory.capacity / 2**30:,.0f}",
        f"{chip.memory.bandwidth / 1e12:.2f}",
        f"{profile.assumed} of {len(profile.assumptions)}",
    )


def _teraflops(flops: float | None) -> str:
    return ABSENT if flops is None else f"{flops / 1e12:,.0f}"


def _tier(tier: "Tier") -> str:
    return f"{tier.name} {tier.domain} at {tier.bandwidth / 1e9:,.0f} GB/s"

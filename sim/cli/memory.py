"""`bandwall memory run | curve | list`: DRAM on its own, and what an access pattern really gets from it."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sim.cli.options import HtmlFile, JsonFile
from sim.cli.output import console, require_outputs, table, write_json, write_page
from sim.cli.wording import ABSENT, percent, significant
from sim.dram.causes import CAUSES

if TYPE_CHECKING:
    from rich.console import Console

    from sim import MemoryCurve, MemoryRun
    from sim.scenario.memory import ListedDevice

verbs = typer.Typer(help="DRAM on its own: the bandwidth and latency an access pattern really gets.")

DeviceName = Annotated[
    str | None,
    typer.Option(
        "--device", metavar="NAME|FILE", help="One stack or package, as in hbm3e.", show_default=False
    ),
]
ChipName = Annotated[
    str | None,
    typer.Option(
        "--chip",
        metavar="NAME|FILE",
        help="A chip's memory: its stacks, bandwidth, requests in flight, refresh.",
        show_default=False,
    ),
]
RefreshMode = Annotated[
    str | None,
    typer.Option(
        "--refresh", help="off, all-bank or per-bank; by default the chip's own.", show_default=False
    ),
]
InFlight = Annotated[
    int | None,
    typer.Option(
        "--in-flight", metavar="N", help="Requests in flight per pseudo-channel.", show_default=False
    ),
]
RequestCount = Annotated[
    int | None,
    typer.Option(
        "--requests",
        metavar="N",
        help="Completions measured; by default 60,000, or 3,000 without numba.",
        show_default=False,
    ),
]
Seed = Annotated[int, typer.Option("--seed", help="Of random places and arrivals.")]
PatternName = Annotated[
    str, typer.Option("--pattern", metavar="NAME", help="See bandwall memory list.", show_default=False)
]
BlockTokens = Annotated[
    int | None, typer.Option("--block-tokens", metavar="N", help="Tokens of a KV block.", show_default=False)
]
TokenBytes = Annotated[
    str | None,
    typer.Option(
        "--token-bytes",
        metavar="SIZE",
        help="Bytes of a token in one layer, K or V, as in '2 KiB'.",
        show_default=False,
    ),
]
Chunk = Annotated[
    str | None, typer.Option("--chunk", metavar="SIZE", help="Contiguous bytes.", show_default=False)
]
Stride = Annotated[
    str | None,
    typer.Option("--stride", metavar="SIZE", help="From one access to the next.", show_default=False),
]
Streams = Annotated[
    int | None, typer.Option("--streams", metavar="N", help="Readers side by side.", show_default=False)
]
WriteFraction = Annotated[
    float | None,
    typer.Option("--write-fraction", metavar="SHARE", help="Of the traffic.", show_default=False),
]
WeightShare = Annotated[
    float | None,
    typer.Option("--weight-share", metavar="SHARE", help="Weights in a step's traffic.", show_default=False),
]
KvShare = Annotated[
    float | None,
    typer.Option(
        "--kv-share",
        metavar="SHARE",
        help="KV reads in a step's traffic; the rest is appends.",
        show_default=False,
    ),
]
Load = Annotated[
    float | None,
    typer.Option(
        "--load",
        metavar="SHARE",
        help="Share of the peak that is offered; by default as much as is taken.",
        show_default=False,
    ),
]


@verbs.command()
def run(
    pattern: PatternName,
    device: DeviceName = None,
    chip: ChipName = None,
    block_tokens: BlockTokens = None,
    token_bytes: TokenBytes = None,
    chunk: Chunk = None,
    stride: Stride = None,
    streams: Streams = None,
    write_fraction: WriteFraction = None,
    weight_share: WeightShare = None,
    kv_share: KvShare = None,
    refresh: RefreshMode = None,
    in_flight: InFlight = None,
    load: Load = None,
    requests: RequestCount = None,
    seed: Seed = 1,
    json: JsonFile = None,
) -> None:
    """Serve one access pattern: bandwidth, latency, row hits, and where the lost time goes."""
    import sim

    require_outputs(_profile(device, chip), json, role="the profile")
    given = {
        "block_tokens": block_tokens,
        "token_bytes": token_bytes,
        "chunk": chunk,
        "stride": stride,
        "streams": streams,
        "write_fraction": write_fraction,
        "weight_share": weight_share,
        "kv_share": kv_share,
    }
    studied = sim.load_memory(device, chip, refresh=refresh, in_flight=in_flight)
    found = sim.memory_run(studied, pattern, _stated(given), load=load, requests=requests, seed=seed)
    write_json(json, found.to_json())
    _print_run(console(json), found)


@verbs.command()
def curve(
    device: DeviceName = None,
    chip: ChipName = None,
    refresh: RefreshMode = None,
    in_flight: InFlight = None,
    requests: RequestCount = None,
    seed: Seed = 1,
    json: JsonFile = None,
    html: HtmlFile = None,
) -> None:
    """Measure bandwidth against the size of contiguous pieces, and latency against load."""
    import sim

    require_outputs(_profile(device, chip), json, html, role="the profile")
    studied = sim.load_memory(device, chip, refresh=refresh, in_flight=in_flight)
    found = sim.memory_curve(studied, requests=requests, seed=seed)
    write_json(json, found.to_json())
    if html is not None:
        write_page(html, sim.html_memory_curve(found))
    _print_curve(console(json), found)


@verbs.command("list")
def list_all(json: JsonFile = None) -> None:
    """List the memory devices of the catalogue, and the access patterns with their parameters."""
    import sim

    devices, patterns = sim.list_memory(), sim.list_patterns()
    forms = [{"name": n, "what": p.what, "parameters": dict(p.defaults)} for n, p in patterns.items()]
    record = {
        "schema": 1,
        "version": sim.__version__,
        "devices": [d.to_json() for d in devices],
        "patterns": forms,
    }
    write_json(json, record)
    out = console(json)
    columns = ("device", "", "channels", "GB/s", "Gb/s a pin", "tRC ns", "tFAW ns", "tRFC ns", "assumed")
    out.print(table("Memory devices", columns, [_device_row(d) for d in devices], "llrrrrrrr"))
    rows = [(name, p.what, p.text or ABSENT) for name, p in patterns.items()]
    out.print(table("Access patterns", ("pattern", "", "parameters and defaults"), rows, "lll"))


def _device_row(listed: "ListedDevice") -> tuple[str, ...]:
    device = listed.device
    return (
        device.name,
        device.profile.title,
        f"{device.channels} × {device.profile.organisation.pseudo_channels}",
        f"{device.bandwidth / 1e9:,.1f}",
        f"{8 * device.pin_rate / 1e9:.1f}",
        *(f"{1e9 * device.timing[name]:.1f}" for name in ("rc", "faw", "rfc_ab")),
        f"{listed.assumed} of {len(listed.assumptions)}",
    )


def _profile(device: str | None, chip: str | None) -> Path | None:
    """The file that is read, where it is one."""
    named = device or chip or ""
    return Path(named).expanduser() if "/" in named or "." in named else None


def _stated(given: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in given.items() if value is not None}


def _print_run(out: "Console", run: "MemoryRun") -> None:
    from sim.cli.run_tables import print_assumptions

    found = run.achieved
    offered = "as much as is taken" if run.load is None else f"{percent(run.load)} of the peak"
    out.print(f"{run.studied.text}\n{run.pattern.text}, offered {offered}\n", markup=False)
    latencies = {"mean": found.mean_latency, "p50": found.p50_latency, "p99": found.p99_latency}
    rows = [
        ("achieved", f"{found.bandwidth / 1e9:,.1f} GB/s"),
        ("of the peak", percent(found.fraction)),
        *((f"read latency, {name}", _nanoseconds(s, run.has_latency)) for name, s in latencies.items()),
        ("row-hit rate", percent(found.row_hit_rate)),
    ]
    out.print(table("Achieved", ("", ""), rows))
    shares = run.lost_shares
    lost = [
        (CAUSES[c], percent(found.lost[c]), percent(shares[c]))
        for c in sorted(shares, key=lambda c: -shares[c])
    ]
    lost.append(("sum", percent(1 - found.fraction), percent(sum(shares.values()))))
    out.print(table("Lost to", ("", "of the peak", "of what is lost"), lost, "lrr"))
    _print_notes(out, run.notes)
    print_assumptions(out, run.studied.assumptions)


def _print_curve(out: "Console", curve: "MemoryCurve") -> None:
    from sim.cli.run_tables import print_assumptions

    peak = curve.studied.memory.bandwidth / 1e9
    out.print(f"{curve.studied.text}\n", markup=False)
    rows = [
        (
            f"{point.size:,}",
            f"{point.in_channel:,}",
            percent(point.one),
            percent(point.gathered),
            significant(point.gathered * peak),
        )
        for point in curve.chunks
    ]
    rows.append(("a stream", "", percent(curve.stream), "", significant(curve.stream * peak)))
    columns = ("contiguous B", "in a channel", "one reader", "side by side", "GB/s")
    out.print(table("Reads of random pieces, of the peak", columns, rows, "rrrrr"))
    points = [
        (
            loaded.pattern.name,
            percent(point.load),
            percent(point.load / loaded.limit),
            *(_nanoseconds(s) for s in (point.mean, point.p50, point.p99)),
        )
        for loaded in curve.loads
        for point in loaded.points
    ]
    columns = ("pattern", "load", "of its limit", "mean", "p50", "p99")
    out.print(table("Read latency against load (share of the peak)", columns, points, "lrrrrr"))
    _print_notes(out, curve.notes)
    print_assumptions(out, curve.studied.assumptions)


def _nanoseconds(seconds: float, known: bool = True) -> str:
    return f"{significant(1e9 * seconds)} ns" if known else ABSENT


def _print_notes(out: "Console", notes: tuple[str, ...]) -> None:
    for note in notes:
        out.print(f"Note: {note}", markup=False)

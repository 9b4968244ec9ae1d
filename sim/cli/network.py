"""`bandwall network CLUSTER`: a collective's time and bandwidth against its message's size."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sim.cli.options import HtmlFile, JsonFile, Sets
from sim.cli.output import console, require_outputs, table, write_json, write_page
from sim.cli.wording import significant

if TYPE_CHECKING:
    from rich.console import Console

    from sim import NetworkRun

ClusterName = Annotated[
    str, typer.Argument(metavar="CLUSTER", help="A shipped cluster, or a file.", show_default=False)
]
CollectiveName = Annotated[
    str,
    typer.Option(
        "--collective", help="all_reduce, all_gather, reduce_scatter, all_to_all, broadcast or send."
    ),
]
Ranks = Annotated[
    int | None,
    typer.Option("--ranks", metavar="N", help="Chips from 0 on; by default all.", show_default=False),
]
Sizes = Annotated[
    str, typer.Option("--sizes", metavar="A..B", help="From A doubling to B, or sizes with commas.")
]
TypeName = Annotated[str, typer.Option("--type", help="int8, fp8, half, bfloat16 or float.")]
With = Annotated[
    list[str] | None,
    typer.Option(
        "--with",
        metavar="A->B[:RATE]",
        help="Traffic beside it, as in 0->1:20GB/s or host->3; repeatable.",
        show_default=False,
    ),
]


def network(
    cluster: ClusterName,
    collective: CollectiveName = "all_reduce",
    ranks: Ranks = None,
    sizes: Sizes = "1KiB..1GiB",
    dtype: TypeName = "half",
    background: With = None,
    sets: Sets = None,
    json: JsonFile = None,
    html: HtmlFile = None,
) -> None:
    """Show what a collective takes on a cluster, in the columns of nccl-tests."""
    import sim

    named = Path(cluster).expanduser() if "/" in cluster or "." in cluster else None
    require_outputs(named, json, html, role="the cluster")
    found = sim.network_run(
        cluster,
        collective=collective,
        ranks=ranks,
        sizes=sizes,
        dtype=dtype,
        background=background or (),
        sets=sets or (),
    )
    write_json(json, found.to_json())
    if html is not None:
        write_page(html, sim.html_network(found))
    _print(console(json), found)


def _print(out: "Console", run: "NetworkRun") -> None:
    from sim.cli.run_tables import print_assumptions

    columns = ["size", "count", "type", "redop", "time(us)", "algbw", "busbw", "P10 … P90(us)", "algorithm"]
    if run.background:
        columns[7:7] = ["time with", "busbw with"]
    rows: list[list[str]] = []
    for point in run.points:
        row = [
            f"{point.size:,.0f}",
            f"{point.count:,}",
            run.dtype,
            run.redop,
            significant(1e6 * point.time),
            significant(run.algbw(point.size, point.time) / 1e9),
            significant(run.busbw(point.size, point.time) / 1e9),
        ]
        if point.beside is not None:
            row += [
                significant(1e6 * point.beside),
                significant(run.busbw(point.size, point.beside) / 1e9),
            ]
        row += [f"{significant(1e6 * point.low)} … {significant(1e6 * point.high)}", point.algorithm]
        rows.append(row)
    title = f"{run.collective} on {run.ranks} chips of {run.cluster.name}, GB/s"
    if run.background:
        title += f", with {', '.join(run.background)}"
    out.print(table(title, columns, rows, "rrll" + "r" * (len(columns) - 5) + "l"))
    print_assumptions(out, run.assumptions)

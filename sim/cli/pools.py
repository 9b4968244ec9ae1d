"""`bandwall pools`: several models on one cluster, with spill-over from one to another."""

import gc
from pathlib import Path
from typing import Annotated

import typer

from sim.cli.options import HtmlFile, JsonFile
from sim.cli.output import console, require_outputs, table, write_json, write_page
from sim.cli.wording import percent, significant

PoolsFile = Annotated[
    Path, typer.Argument(metavar="POOLS", help="File of the models' pools (YAML).", show_default=False)
]


def pools(file: PoolsFile, json: JsonFile = None, html: HtmlFile = None) -> None:
    """Serve several models on one cluster: placement, latencies, spill-over, cost."""
    import sim

    require_outputs(file, json, html, role="the pools")
    gc.enable()
    result = sim.pools(file)
    write_json(json, result.to_json())
    if html is not None:
        write_page(html, sim.html_pools(result))
    heads = (
        "pool",
        "models",
        "chips",
        "requests",
        "spilled",
        "taken",
        "TTFT p99",
        "TPOT p99",
        "attained",
        "busy",
    )
    rows = [
        (
            pool.name,
            str(pool.models),
            str(pool.chips),
            f"{pool.requests:,}",
            percent(pool.spilled),
            f"{pool.taken:,}",
            significant(1e3 * pool.ttft),
            significant(1e3 * pool.tpot),
            percent(pool.attained) + ("" if pool.meets else ", missed"),
            percent(pool.busy),
        )
        for pool in result.pools
    ]
    out = console(json)
    out.print(table(f"{result.name}: latencies in ms, wherever a request was answered", heads, rows))
    out.print(
        f"{len(result.servers)} of {result.spec.servers} servers, {result.left} chips left over; "
        f"{result.bill.usd_per_hour:,.0f} USD/h, {significant(result.bill.watts / 1e3)} kW at the meter.",
        markup=False,
    )

"""`bandwall sweep`: a scenario varied along axes; finished points are kept and never computed again."""

import gc
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sim.cli.options import HtmlFile, JsonFile
from sim.cli.output import console, require_outputs, table, write_json, write_page
from sim.cli.wording import ABSENT, significant

if TYPE_CHECKING:
    from rich.console import Console

    from sim.planning.sweep.result import Row, SweepResult

SHOWN_ROWS = 40
SHOWN_OUTPUTS = (
    ("tokens_per_s_per_chip", "tok/s/chip"),
    ("tokens_per_s_per_user", "tok/s/user"),
    ("p99_ttft_ms", "TTFT p99"),
    ("p99_tpot_ms", "TPOT p99"),
    ("usd_per_million_output_tokens", "USD/M"),
    ("joules_per_output_token", "J/tok"),
)

SweepFile = Annotated[Path, typer.Argument(metavar="SWEEP", help="Sweep file (YAML).", show_default=False)]
StoreFile = Annotated[
    Path | None,
    typer.Option(
        "--store",
        metavar="FILE",
        help="SQLite file that keeps finished points; by default the sweep's name with .db.",
        show_default=False,
    ),
]
BackendName = Annotated[
    str | None,
    typer.Option(
        "--backend",
        help="serial, loky (all cores), ray or dask; by default loky where it is installed.",
        show_default=False,
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers", metavar="N", help="Points at a time; all cores by default.", show_default=False
    ),
]
TableFile = Annotated[
    Path | None,
    typer.Option(
        "--table", metavar="FILE", help="Write one row per point: .csv or .parquet.", show_default=False
    ),
]


def sweep(
    file: SweepFile,
    store: StoreFile = None,
    backend: BackendName = None,
    workers: Workers = None,
    json: JsonFile = None,
    html: HtmlFile = None,
    table_file: TableFile = None,
) -> None:
    """Vary fields of a scenario over lists, ranges or a Latin hypercube; may be killed and taken up again."""
    import sim

    kept = file.with_suffix(".db") if store is None else store
    require_outputs(file, json, html, table_file, kept, role="the sweep")
    if table_file is not None:
        from sim.metrics import require_request_format

        require_request_format(table_file)
    out = console(json)
    gc.enable()  # a sweep runs long enough for cycles to count
    with progress_bar("points") as progress:
        result = sim.sweep(file, store=kept, backend=backend, workers=workers, progress=progress)
    write_json(json, result.to_json())
    if table_file is not None:
        result.write_table(table_file)
    if html is not None:
        write_page(html, sim.html_sweep(result))
    _print_result(out, result, kept)


@contextmanager
def progress_bar(what: str) -> Generator[Callable[[int, int], None]]:
    """A bar with rate and remaining time on standard error, gone when the work is done."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None, rate="")

        def progress(done: int, total: int) -> None:
            speed = bar.tasks[0].speed
            rate = f"{speed:,.1f} {what}/s" if speed else what
            bar.update(task, completed=done, total=total, rate=rate)

        yield progress


def _print_result(out: "Console", result: "SweepResult", store: Path) -> None:
    done, refused = result.done, result.refused
    shown = done[:SHOWN_ROWS]
    columns = (*(_short(axis) for axis in result.axes), *(title for _, title in SHOWN_OUTPUTS), "bound by")
    align = "l" * len(result.axes) + "r" * len(SHOWN_OUTPUTS) + "l"
    title = f"{result.scenario}: {len(result.rows)} points"
    out.print(table(title, columns, [_cells(result.axes, row) for row in shown], align))
    if len(done) > len(shown):
        out.print(f"{len(done) - len(shown)} more; --table FILE.csv has them all", markup=False)
    for row in refused[:3]:
        where = ", ".join(f"{_short(axis)} {value}" for axis, value in row.labels.items())
        out.print(f"Impossible, {where}: {row.record['error']}", markup=False)
    if len(refused) > 3:
        out.print(f"{len(refused) - 3} more points are impossible", markup=False)
    out.print(
        f"{result.computed} points computed, {result.reused} were in {store} already",
        style="dim",
        markup=False,
    )
    if result.of_other_code:
        out.print(
            f"{store} also holds {result.of_other_code} points of other versions, which were not used",
            style="dim",
            markup=False,
        )


def _short(axis: str) -> str:
    """The last word of a path says enough in a table."""
    return axis.rpartition(".")[2]


def _cells(axes: tuple[str, ...], row: "Row") -> list[str]:
    numbers = [row.number(name) for name, _ in SHOWN_OUTPUTS]
    return [
        *(row.labels[axis] for axis in axes),
        *(ABSENT if number is None else significant(number) for number in numbers),
        str(row.record.get("bound_by") or ABSENT),
    ]

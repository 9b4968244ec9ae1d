"""Where a verb's output goes: JSON to a file or standard output, tables to what is left."""

import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from rich.console import Console, Group
    from rich.table import Table

Row = Sequence[str]


def require_outputs(
    read: Path | None, json: str | None, *pages: Path | None, role: str = "the scenario"
) -> None:
    """Refuses outputs that could not be written or would fall on one another, before the work for them.

    Args:
        read: the file that is read, and its role; no output may take its place.
        json: the target of `--json`, where "-" is standard output.
        pages: the other targets, each a file.
    """
    from sim import documents
    from sim.errors import UserError

    targets = [Path(json)] if json is not None and json != "-" else []
    targets += [page for page in pages if page is not None]
    taken = {} if read is None else {read.resolve(): f"{role} itself"}
    for target in targets:
        if str(target) == "-":
            raise UserError("only --json can go to standard output as '-'; give a file name")
        documents.require_writable(target)
        place = target.resolve()
        if place in taken:
            raise UserError(f"cannot write {target}: it is {taken[place]}")
        if not place.exists() or place.is_file():  # a device such as /dev/null takes any number of outputs
            taken[place] = "asked for as another output too"


def write_json(target: str | None, content: object) -> None:
    """Writes `content` as JSON to a file or, for "-", to standard output; NaN and infinities are null."""
    if target is None:
        return
    text = json.dumps(_finite(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    if target == "-":
        sys.stdout.write(text)
    else:
        from sim import documents

        documents.write_text(Path(target), text)


def write_page(target: Path, page: str) -> None:
    """Writes an HTML page."""
    from sim import documents

    documents.write_text(target, page)


def _finite(content: object) -> object:
    if isinstance(content, float):
        return content if math.isfinite(content) else None
    if isinstance(content, Mapping):
        entries = cast("Mapping[object, object]", content)
        return {str(key): _finite(value) for key, value in entries.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in cast("Sequence[object]", content)]
    return content


def console(json_target: str | None) -> "Console":
    """The console for tables: standard error where standard output carries JSON.

    A pipe or file gets 120 columns and no colours.
    """
    from rich.console import Console

    stream = sys.stderr if json_target == "-" else sys.stdout
    return Console(file=stream, width=None if stream.isatty() else 120, highlight=False)


def table(title: str, columns: Sequence[str], rows: Sequence[Row], align: str = "") -> "Group":
    """A titled table; `align` has an l or r per column, by default text on the left and numbers after it."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    headed = any(columns)
    body = Table(box=box.SIMPLE_HEAD if headed else None, show_header=headed, pad_edge=False)
    for index, name in enumerate(columns):
        numeric = align[index] == "r" if align else index > 0
        named = headed and index == 0  # a name has to be readable in full, to be typed or copied
        body.add_column(name, justify="right" if numeric else "left", no_wrap=numeric or named)
    for row in rows:
        # Text, not str: a name from a user's file is no markup.
        body.add_row(*(Text(cell) for cell in row))
    return Group(Text(title, "bold"), body, *([] if headed else [""]))


def side_by_side(*columns: Sequence["Group"]) -> "Table":
    """Columns of tables, each column top-aligned."""
    from rich.console import Group
    from rich.table import Table

    grid = Table.grid(padding=(0, 6, 0, 0))
    grid.add_row(*(Group(*column) for column in columns))
    return grid

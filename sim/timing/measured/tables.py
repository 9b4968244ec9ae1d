"""Reading measured tables: Parquet or CSV files with the columns of one of `TABLES`, or a package's own.

The table's kind is told by its columns, not by its file's name. Other columns are ignored; rows flagged
`outlier` are left out and counted.
"""

import csv
import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

import numpy as np

from sim.errors import UserError
from sim.timing.measured.installed import PREFIX, installed_tables
from sim.timing.measured.rows import Column, Rows

COMMON = ("chip", "op", "dtype", "framework", "latency_us")
"""Columns of every table: who measured what in which stack, and its microseconds."""

OPTIONAL = {"kernel": "", "version": "", "kv_dtype": "", "outlier": False}
"""Columns that a table may leave out, and what stands for them."""

WORDS = ("gemm_dtype", "distribution")
"""Shape columns that hold text."""

TABLES: Mapping[str, tuple[str, ...]] = {
    "gemm": ("m", "n", "k"),
    "attn_prefill": ("batch_size", "isl", "num_heads", "num_kv_heads", "head_dim", "window_size"),
    "attn_decode": ("batch_size", "kv_len_past", "num_heads", "num_kv_heads", "head_dim", "window_size"),
    "mla_module": ("gemm_dtype", "batch_size", "isl", "kv_len_past", "num_heads"),
    "mla_prefill": ("batch_size", "isl", "num_heads"),
    "mla_decode": ("batch_size", "kv_len_past", "num_heads"),
    "mla_bmm": ("num_tokens", "num_heads"),
    "moe": (
        "num_tokens", "hidden_size", "inter_size", "topk", "num_experts", "moe_tp_size", "moe_ep_size",
        "distribution",
    ),
    "moe_a2a": ("nodes", "hidden_size", "topk", "num_experts", "num_tokens", "sms"),
    "comm": ("num_gpus", "bytes"),
    "elementwise": ("m", "k"),
}  # fmt: skip
"""Shape columns by kind of table. A table is of the first kind whose columns it has."""


class ArrowTable(Protocol):
    """What is used of a pyarrow table."""

    @property
    def column_names(self) -> Sequence[str]: ...
    def column(self, name: str) -> "ArrowColumn": ...


class ArrowColumn(Protocol):
    """What is used of a column of it."""

    def to_numpy(self) -> Column: ...


class _Parquet(Protocol):
    def read_table(self, path: Path) -> ArrowTable: ...


@dataclass(frozen=True, slots=True)
class Measured:
    """One table as read: its rows without the flagged ones, how many of those there were, and its name."""

    rows: Rows
    outliers: int
    name: str


def read_tables(reference: str | Path, base: Path | None = None) -> list[Measured]:
    """The tables that a user names: one file, or `aiconfigurator:CHIP/STACK/VERSION` for the package's.

    Args:
        base: folder that a relative path starts from.
    Raises:
        UserError: for a file that cannot be read, columns that are those of no table, a time that is not
            positive, what the package has no tables of; without pyarrow or the package where it is needed.
    """
    if str(reference).startswith(PREFIX):
        return [to_rows(columns, name) for name, columns in installed_tables(str(reference), _parquet)]
    return [read_table(Path(reference) if base is None else base / reference)]


def read_table(path: Path) -> Measured:
    """The rows of one file; errors as `read_tables`."""
    return to_rows(_csv(path) if path.suffix.lower() == ".csv" else _parquet(path), path.name)


def to_rows(columns: Mapping[str, Column], source: str) -> Measured:
    """Columns as rows of the table whose columns they are."""
    missing = [name for name in COMMON if name not in columns]
    kind = next((name for name, shape in TABLES.items() if all(c in columns for c in shape)), None)
    if missing or kind is None:
        wanted = f"the column '{missing[0]}'" if missing else "the shape columns of any operator"
        raise UserError(
            f"{source}: no measured table, it lacks {wanted} (known tables: {', '.join(sorted(TABLES))})"
        )
    n = len(columns["latency_us"])
    kept = {name: columns[name] for name in (*COMMON, *TABLES[kind])}
    for name, absent in OPTIONAL.items():
        kept[name] = columns.get(name, np.full(n, absent))
    for name in ("latency_us", *(c for c in TABLES[kind] if c not in WORDS)):
        if n and not np.issubdtype(kept[name].dtype, np.number):
            raise UserError(f"{source}: the column '{name}' must hold numbers, found '{kept[name][0]}'")
    time = np.asarray(kept["latency_us"], np.float64)
    if bad := np.flatnonzero(~(time > 0)).tolist():
        raise UserError(f"{source}: row {bad[0]}: latency_us must be greater than 0, found {time[bad[0]]:g}")
    rows = Rows(kind, kept, np.arange(n))
    flagged = np.char.lower(np.asarray(kept["outlier"]).astype(np.str_))
    outlier = ~np.isin(flagged, ("", "0", "0.0", "false"))
    return Measured(rows.at(~outlier), int(outlier.sum()), source)


def _plain(column: Column) -> Column:
    """Text columns as strings; the rest as they are."""
    return column.astype(np.str_) if column.dtype == object else column


def _parquet(path: Path) -> dict[str, Column]:
    try:
        parquet = cast("_Parquet", importlib.import_module("pyarrow.parquet"))
    except ImportError:
        raise UserError(
            f"{path}: reading Parquet needs pyarrow, which is not installed (pip install 'bandwall[parquet]')"
        ) from None
    if not path.is_file():
        raise UserError(f"cannot read {path}: there is no such file")
    try:
        table = parquet.read_table(path)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path}: cannot be read as Parquet ({reason})") from None
    return {name: _plain(table.column(name).to_numpy()) for name in table.column_names}


def _csv(path: Path) -> dict[str, Column]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header, *lines = list(csv.reader(file)) or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UserError(f"cannot read {path}: {reason}") from None
    for number, line in enumerate(lines, start=2):
        if len(line) != len(header):
            raise UserError(f"{path}:{number}: {len(header)} columns are expected, found {len(line)}")
    columns = zip(*lines, strict=True) if lines else ((),) * len(header)
    return {name: _typed(np.array(column, np.str_)) for name, column in zip(header, columns, strict=True)}


def _typed(column: Column) -> Column:
    """Text as numbers, if all of it is."""
    try:
        return column.astype(np.float64)
    except ValueError:
        return column

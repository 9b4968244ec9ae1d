"""Reading measured tables: parquet files with the columns of one of `TABLES`.

The table's kind is told by its columns, not by its file's name. Other columns are ignored; rows flagged
`outlier` are kept apart by the caller.
"""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

import numpy as np

from sim.errors import UserError
from sim.timing.measured.rows import Column, Rows

COMMON = ("chip", "op", "dtype", "framework", "latency_us")
"""Columns of every table: who measured what in which stack, and its microseconds."""

OPTIONAL = {"kernel": "", "version": "", "kv_dtype": "", "outlier": False}
"""Columns that a table may leave out, and what stands for them."""

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
    """One table as read: its rows without the flagged ones, and how many of those there were."""

    rows: Rows
    outliers: int


def read_table(path: Path) -> Measured:
    """The rows of a measured table.

    Raises:
        UserError: for a file that cannot be read, columns that are those of no table, a time that is not
            positive; without pyarrow.
    """
    table = _parquet(path)
    names = frozenset(table.column_names)
    return to_rows({name: _plain(table.column(name).to_numpy()) for name in names}, path.name)


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
    time = np.asarray(kept["latency_us"], np.float64)
    if bad := np.flatnonzero(~(time > 0)).tolist():
        raise UserError(f"{source}: row {bad[0]}: latency_us must be greater than 0, found {time[bad[0]]:g}")
    rows = Rows(kind, kept, np.arange(n))
    flagged = np.asarray(kept["outlier"], np.bool_)
    return Measured(rows.at(~flagged), int(flagged.sum()))


def _plain(column: Column) -> Column:
    """Text columns as strings; the rest as they are."""
    return column.astype(np.str_) if column.dtype == object else column


def _parquet(path: Path) -> ArrowTable:
    try:
        parquet = cast("_Parquet", importlib.import_module("pyarrow.parquet"))
    except ImportError:
        raise UserError(
            f"{path}: reading Parquet needs pyarrow, which is not installed (pip install 'bandwall[parquet]')"
        ) from None
    if not path.is_file():
        raise UserError(f"cannot read {path}: there is no such file")
    try:
        return parquet.read_table(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as Parquet ({error})") from None

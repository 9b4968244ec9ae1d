"""The request table as a file: CSV, or Parquet where pyarrow is installed.

Columns: request, arrival_s, received_s, scheduled_s, first_token_s, finish_s, prompt_tokens, output_tokens,
cached_tokens, preemptions, replica, status, client, ttft_s, tpot_s, e2el_s. `arrival_s, prompt_tokens,
output_tokens` are the names of our trace format, so that a run's table can be replayed as a trace.
"""

import importlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from sim.documents import write_bytes, write_text
from sim.errors import UserError
from sim.metrics.latency import latencies
from sim.serving.records import RunResult

STATUS_NAMES = ("finished", "rejected", "unfinished", "failed")
FORMATS = (".csv", ".parquet")

Column = NDArray[np.float64] | NDArray[np.int64] | Sequence[str]


class _Arrow(Protocol):
    def table(self, data: dict[str, Column]) -> object: ...


class _Parquet(Protocol):
    def write_table(self, table: object, where: io.BytesIO) -> None: ...


def require_request_format(path: Path) -> None:
    """Refuses a request table that could not be made, before the run that fills it.

    Raises:
        UserError: for an ending that is not one of `FORMATS`, for Parquet without pyarrow.
    """
    if path.suffix not in FORMATS:
        found = f"not '{path.suffix}'" if path.suffix else "and this name has no ending"
        raise UserError(f"{path}: a request table is written as {' or '.join(FORMATS)}, {found}")
    if path.suffix == ".parquet":
        _pyarrow(path)


def write_requests(result: RunResult, path: Path) -> None:
    """Write the run's requests to `path`, in the format its ending names.

    Raises:
        UserError: for another ending, for Parquet without pyarrow, for a path that cannot be written.
    """
    require_request_format(path)
    columns = request_columns(result)
    if path.suffix == ".csv":
        write_text(path, to_csv(columns))
    else:
        write_bytes(path, to_parquet(columns, path))


def request_columns(result: RunResult) -> dict[str, Column]:
    """One entry per column, rows in order of the request's index; NaN where a request never got so far."""
    table = result.requests
    found = latencies(table)
    clients = result.clients or ("",)
    return {
        "request": np.arange(len(table.arrival)),
        "arrival_s": table.arrival,
        "received_s": table.received,
        "scheduled_s": table.scheduled,
        "first_token_s": table.first_token,
        "finish_s": table.finish,
        "prompt_tokens": table.prompt_tokens,
        "output_tokens": table.output_tokens,
        "cached_tokens": table.cached_tokens,
        "preemptions": table.preemptions,
        "replica": table.replica,
        "status": [STATUS_NAMES[code] for code in table.status.tolist()],
        "client": [clients[code] for code in table.client.tolist()]
        if len(table.client)
        else [clients[0]] * len(table.arrival),
        "ttft_s": found.ttft,
        "tpot_s": found.tpot,
        "e2el_s": found.e2el,
    }


def to_csv(columns: dict[str, Column]) -> str:
    """CSV text with a header; numbers in full precision, NaN as an empty field."""
    cells = [_cells(column) for column in columns.values()]
    lines = map(",".join, zip(*cells, strict=True))
    return "\n".join([",".join(columns), *lines]) + "\n"


def _cells(column: Column) -> list[str]:
    if isinstance(column, np.ndarray):
        text = list(map(repr, column.tolist()))
        return ["" if cell == "nan" else cell for cell in text] if column.dtype.kind == "f" else text
    quoted = {name: _quoted(name) for name in set(column)}
    return [quoted[name] for name in column]


def _quoted(name: str) -> str:
    if any(mark in name for mark in ',"\r\n'):
        return '"' + name.replace('"', '""') + '"'
    return name


def to_parquet(columns: dict[str, Column], path: Path) -> bytes:
    """The bytes of a Parquet file.

    Raises:
        UserError: if pyarrow is not installed.
    """
    arrow, parquet = _pyarrow(path)
    file = io.BytesIO()
    parquet.write_table(arrow.table(columns), file)
    return file.getvalue()


def _pyarrow(path: Path) -> tuple[_Arrow, _Parquet]:
    try:
        arrow = importlib.import_module("pyarrow")
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise UserError(
            f"{path}: writing Parquet needs pyarrow, which is not installed "
            "(pip install 'bandwall[parquet]'), or choose a .csv file"
        ) from None
    return cast("_Arrow", cast("object", arrow)), cast("_Parquet", cast("object", parquet))

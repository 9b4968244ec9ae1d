"""What a sweep came to: one row per point, as objects, JSON, CSV or Parquet."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from sim.documents import write_bytes, write_text
from sim.metrics.export import Column, require_request_format, to_csv, to_parquet
from sim.planning.evaluate import Status
from sim.planning.sweep.points import Labels
from sim.planning.sweep.store import Stored
from sim.version import __version__

Record = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Row:
    """One point.

    Attributes:
        labels: its coordinate on each axis, as `--set` takes it.
        hash: of its resolved scenario; empty where the scenario could not be resolved.
        record: the run's flat record; {"error": sentence} of a point that is refused.
    """

    position: int
    labels: Labels
    hash: str
    status: Status
    record: Record

    @classmethod
    def read(cls, stored: Stored, labels: Labels) -> "Row":
        """The row of a stored point."""
        return cls(stored.position, labels, stored.hash, stored.status, json.loads(stored.record))

    def number(self, name: str) -> float | None:
        """A number of the record, None where it is absent."""
        value = self.record.get(name)
        return float(value) if isinstance(value, int | float) else None

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return {
            "position": self.position,
            "axes": self.labels,
            "hash": self.hash,
            "status": self.status,
        } | dict(self.record)


@dataclass(frozen=True, slots=True)
class SweepResult:
    """Every point of a sweep, in its order.

    Attributes:
        scenario: the scenario file's name; axes: names of the axes.
        computed, reused: points that were run now, and points that the store already had.
        of_other_code: points that other versions of the code left in the store.
    """

    scenario: str
    axes: tuple[str, ...]
    rows: tuple[Row, ...]
    computed: int
    reused: int
    of_other_code: int

    @property
    def done(self) -> tuple[Row, ...]:
        """The points that could be run."""
        return tuple(row for row in self.rows if row.status == "done")

    @property
    def refused(self) -> tuple[Row, ...]:
        """The points that are impossible, with the sentence that says why."""
        return tuple(row for row in self.rows if row.status == "refused")

    def to_json(self) -> dict[str, object]:
        """Plain data: one entry per point."""
        return {
            "schema": 1,
            "version": __version__,
            "scenario": self.scenario,
            "axes": list(self.axes),
            "computed": self.computed,
            "reused": self.reused,
            "points": [row.to_json() for row in self.rows],
        }

    def write_table(self, path: Path) -> None:
        """Writes one row per point as .csv or .parquet: axes first, then every flat field of the record.

        Raises:
            UserError: for another ending, without pyarrow for .parquet, where it cannot be written.
        """
        require_request_format(path)
        columns = self.columns()
        if path.suffix == ".csv":
            write_text(path, to_csv(columns))
        else:
            write_bytes(path, to_parquet(columns, path))

    def columns(self) -> dict[str, Column]:
        """Column → values; a number that a point lacks is NaN, a word is empty."""
        columns: dict[str, Column] = {
            f"axis:{axis}": [row.labels.get(axis, "") for row in self.rows] for axis in self.axes
        }
        columns |= {"status": [row.status for row in self.rows], "hash": [row.hash for row in self.rows]}
        for name in dict.fromkeys(name for row in self.rows for name in _flat(row.record)):
            columns[name] = _column([_flat(row.record).get(name) for row in self.rows])
        return columns


def _flat(record: Record) -> dict[str, object]:
    """The record's plain fields; of mappings, their entries as `name.entry`."""
    return dict(_entries(record))


def _entries(record: Record, within: str = "") -> Iterator[tuple[str, object]]:
    for name, value in record.items():
        if isinstance(value, Mapping):
            yield from _entries(cast("Record", value), f"{within}{name}.")
        elif isinstance(value, list):
            yield f"{within}{name}", " ".join(map(str, cast("list[object]", value)))
        else:
            yield f"{within}{name}", value


def _column(values: list[object]) -> Column:
    if all(isinstance(value, int) and not isinstance(value, bool) for value in values):
        return np.array(values, np.int64)
    if all(value is None or isinstance(value, int | float) for value in values):
        numbers = [np.nan if value is None else float(cast("float", value)) for value in values]
        return np.array(numbers, np.float64)
    return ["" if value is None else str(value) for value in values]

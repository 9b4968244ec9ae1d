"""Measured rows of one operator as columns, and the groups of rows that one call can price.

Every row is one timed execution of one operator on one chip (for collectives: on each of several). Column
names are those of the tables; text columns hold strings, the others numbers.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.operators.quantities import Array

Column = NDArray[np.generic]
Places = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one table.

    Attributes:
        table: its name, as in "gemm"; columns: by name, all of one length.
        places: each row's number in the table as it was read, so that a row can be found again.
    """

    table: str
    columns: Mapping[str, Column]
    places: Places

    @property
    def n(self) -> int:
        """How many rows."""
        return len(self.places)

    def numbers(self, name: str) -> Array:
        """A numeric column as floats."""
        return np.asarray(self.columns[name], np.float64)

    def words(self, name: str) -> NDArray[np.str_]:
        """A text column."""
        return np.asarray(self.columns[name], np.str_)

    def at(self, places: NDArray[np.intp] | NDArray[np.bool_]) -> "Rows":
        """Some of the rows, by index or by mask."""
        return Rows(
            self.table, {name: column[places] for name, column in self.columns.items()}, self.places[places]
        )

    def alike(self, *names: str) -> Iterator[tuple[tuple[str | float, ...], Places]]:
        """Groups of rows that agree in these columns: their common values, and which rows they are."""
        if self.n == 0:
            return
        codes = np.zeros(self.n, np.int64)
        for name in names:
            _, code = np.unique(self.columns[name], return_inverse=True)
            codes = codes * (int(code.max()) + 1) + code
            _, codes = np.unique(codes, return_inverse=True)
        order = np.argsort(codes, kind="stable")
        ends = np.flatnonzero(np.diff(codes[order])) + 1
        for group in np.split(order, ends):
            first = group[0]
            yield tuple(self.columns[name][first].item() for name in names), group

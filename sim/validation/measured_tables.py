"""Parquet tables of measured operators, row by row, those flagged as outliers left out and counted."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from sim.errors import UserError

Row = dict[str, object]
_OUTLIER = "outlier"


@dataclass(frozen=True, slots=True)
class MeasuredRow:
    """A row and where it stands: file, number from 0."""

    id: str
    values: Row

    def number(self, name: str) -> float:
        """A column as a number."""
        return float(cast("float", self.values[name]))

    def whole(self, name: str) -> int:
        """A column as a whole number."""
        return int(self.number(name))

    def text(self, name: str) -> str:
        """A column as text."""
        return str(self.values[name])


def read_tables(
    paths: Sequence[Path], kinds: Sequence[Sequence[str]], skipped: Counter[str]
) -> list[list[MeasuredRow]]:
    """The rows of all tables, one list per kind of table.

    Args:
        kinds: the columns that each kind has; a table is of the first kind all of whose columns it has.
        skipped: counts rows left out, by reason.
    Raises:
        UserError: for a file that cannot be read or is of no kind, or without pyarrow.
    """
    try:
        from pyarrow import parquet  # pyright: ignore[reportMissingTypeStubs]
    except ImportError:
        raise UserError("reading measured tables needs pyarrow: pip install 'bandwall[parquet]'") from None
    found: list[list[MeasuredRow]] = [[] for _ in kinds]
    for path in paths:
        try:
            rows = cast("list[Row]", parquet.read_table(path).to_pylist())  # pyright: ignore[reportUnknownMemberType]
        except (OSError, ValueError) as error:  # pyarrow's own are both
            reason = str(error).splitlines()[0]
            raise UserError(f"{path.name}: cannot be read as parquet ({reason})") from None
        columns = set(rows[0]) if rows else set[str]()
        kind = next((i for i, needed in enumerate(kinds) if columns >= set(needed)), None)
        if kind is None:
            missing = [name for name in kinds[0] if name not in columns]
            raise UserError(
                f"{path.name}: no column '{(missing or ['chip'])[0]}'; "
                f"a table has {' or '.join(', '.join(needed) for needed in kinds)}"
            )
        for number, row in enumerate(rows):
            if row.get(_OUTLIER):
                skipped["flagged as outlier"] += 1
            else:
                found[kind].append(MeasuredRow(f"{path.name}:{number}", row))
    return found

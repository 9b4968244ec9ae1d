"""The store of a sweep: one SQLite file that is whole after every point, whatever happens to the process.

Write-ahead logging, one transaction per point, one writer (the parent process). A point is known by the hash
of its resolved scenario and the version of the code, so that the same point is never computed twice, in this
sweep or in another one that uses the file; points of other code are kept and left alone.
"""

import sqlite3
import zlib
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sim.errors import UserError
from sim.planning.evaluate import Finished, Status

FORMAT = 1
"""Version of the tables below; a file of another one is refused."""

_TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE points (
    hash TEXT NOT NULL, code TEXT NOT NULL, status TEXT NOT NULL, record TEXT NOT NULL,
    scenario BLOB NOT NULL, PRIMARY KEY (hash, code)
) WITHOUT ROWID;
CREATE TABLE members (
    sweep TEXT NOT NULL, position INTEGER NOT NULL, hash TEXT NOT NULL, PRIMARY KEY (sweep, position)
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Stored:
    """One finished point of a sweep."""

    position: int
    hash: str
    status: Status
    record: str


class Store:
    """The points of sweeps in one file.

    Args:
        path: the file; made where there is none.
        code: version of the code whose points are read and written.
    Raises:
        UserError: for a file that is no store, or one of another format.
    """

    def __init__(self, path: Path, code: str) -> None:
        self.path = path
        self._code = code
        with self._told():
            self._database = sqlite3.connect(path, isolation_level=None, timeout=30.0)
        try:
            with self._told():
                self._open()
        except BaseException:
            self._database.close()
            raise

    def _open(self) -> None:
        known = self._database.execute("SELECT name FROM sqlite_master WHERE name = 'meta'").fetchone()
        anything = self._database.execute("SELECT name FROM sqlite_master").fetchone()
        if known is None and anything is not None:
            raise UserError(f"{self.path}: an SQLite file, but not a store of sweeps")
        if known is None:
            self._database.execute("PRAGMA journal_mode = WAL")
            with self._transaction():
                for statement in _TABLES.split(";"):
                    self._database.execute(statement)
                self._database.execute("INSERT INTO meta VALUES ('format', ?)", (str(FORMAT),))
        found = self._database.execute("SELECT value FROM meta WHERE name = 'format'").fetchone()
        written = str(found[0]) if found else "unknown"
        if written != str(FORMAT):
            raise UserError(
                f"{self.path}: a store of format {written}, this version reads format {FORMAT}; give another "
                "file, or export it with the version that wrote it"
            )
        self._database.execute("PRAGMA synchronous = NORMAL")

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def enter(self, sweep: str, members: Iterable[tuple[int, str]]) -> None:
        """Notes which points a sweep consists of: (position, hash)."""
        with self._told(), self._transaction():
            self._database.executemany(
                "INSERT OR REPLACE INTO members VALUES (?, ?, ?)",
                ((sweep, position, key) for position, key in members),
            )

    def finished(self, sweep: str) -> set[str]:
        """Hashes of the sweep's points that need not be computed."""
        query = "SELECT hash FROM members JOIN points USING (hash) WHERE sweep = ? AND code = ?"
        with self._told():
            return {str(row[0]) for row in self._database.execute(query, (sweep, self._code))}

    def add(self, point: Finished, scenario: str) -> None:
        """Keeps a finished point; it is on disk when this returns.

        Args:
            scenario: its resolved scenario as JSON.
        """
        row = (point.key, self._code, point.status, point.record, zlib.compress(scenario.encode(), 1))
        with self._told():
            self._database.execute("INSERT OR IGNORE INTO points VALUES (?, ?, ?, ?, ?)", row)

    def points(self, sweep: str) -> Iterator[Stored]:
        """The finished points of a sweep, in its order."""
        query = (
            "SELECT position, hash, status, record FROM members JOIN points USING (hash) "
            "WHERE sweep = ? AND code = ? ORDER BY position"
        )
        with self._told():
            for position, key, status, record in self._database.execute(query, (sweep, self._code)):
                yield Stored(position, key, status, record)

    def scenario(self, key: str) -> str:
        """The resolved scenario (JSON) of a finished point.

        Raises:
            UserError: where there is no such point.
        """
        query = "SELECT scenario FROM points WHERE hash = ? AND code = ?"
        with self._told():
            found = self._database.execute(query, (key, self._code)).fetchone()
        if found is None:
            raise UserError(f"{self.path}: no point {key}")
        return zlib.decompress(found[0]).decode()

    def of_other_code(self) -> int:
        """Points that other versions of the code left here."""
        with self._told():
            query = "SELECT COUNT(*) FROM points WHERE code != ?"
            return int(self._database.execute(query, (self._code,)).fetchone()[0])

    @contextmanager
    def _transaction(self) -> Generator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    @contextmanager
    def _told(self) -> Generator[None]:
        """What SQLite has against a file, as one sentence."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise UserError(f"cannot use the store {self.path}: {error}") from None

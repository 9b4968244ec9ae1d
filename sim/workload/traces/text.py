"""Lines of a trace file, plain or gzip'ed, with their numbers; a fault is one sentence with file and line."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

from sim.errors import UserError

_GZIP_MAGIC = b"\x1f\x8b"


def read_text(path: Path) -> str:
    """The whole file as text.

    Raises:
        UserError: missing, unreadable, damaged, or not UTF-8.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from None
    if data.startswith(_GZIP_MAGIC):
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise UserError(f"{path} is a damaged gzip file: {error}") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path.name}:{line}: not UTF-8 text") from None


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """(line number, line) of every line that is neither blank nor a # comment; errors as `read_text`."""
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            yield number, stripped


def malformed(path: Path, line: int | None, field: str, found: object, needs: str) -> UserError:
    """The error of one bad value: file, line, field, what was found, what is allowed."""
    place = f"{path.name}:{line}" if line else path.name
    shown = (
        "nothing" if found is None or found == "" else repr(found) if isinstance(found, str) else str(found)
    )
    return UserError(f"{place}: {field}: found {shown[:60]}, needs {needs}")

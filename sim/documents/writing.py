"""Writing outputs: to a temporary name beside the file, then renamed; a file is whole or absent."""

import os
import tempfile
from pathlib import Path

from sim.errors import UserError


def require_writable(path: Path) -> None:
    """Refuses an output that could not be written, before the work that makes it.

    Raises:
        UserError: for a folder, a folder that is not there, a folder or file that may not be written.
    """
    folder = path.resolve().parent
    if path.is_dir():
        reason = "it is a folder"
    elif not folder.is_dir():
        reason = f"there is no folder {folder}"
    elif not os.access(path if path.exists() else folder, os.W_OK):
        reason = "permission denied"
    else:
        return
    raise UserError(f"cannot write {path}: {reason}")


def write_text(path: Path, text: str) -> None:
    """Writes a UTF-8 file whole or not at all.

    Raises:
        UserError: where the file cannot be written.
    """
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all; a pipe or device such as `/dev/stdout` is written to directly.

    Raises:
        UserError: where the file cannot be written.
    """
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(content)
        else:
            _replace(path.resolve(), content)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UserError(f"cannot write {path}: {reason}") from None


def _replace(path: Path, content: bytes) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{path.name[:40]}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        Path(name).chmod(_mode(path))
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _mode(path: Path) -> int:
    """The permissions of the file that is replaced, or those a new file gets."""
    if path.exists():
        return path.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask

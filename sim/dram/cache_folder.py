"""The user's cache folder: where results that take seconds to derive are kept between processes."""

import os
import sys
from contextlib import suppress
from pathlib import Path


def cache_folder() -> Path:
    """Of this program; it need not exist.

    XDG_CACHE_HOME wherever it is set; else LOCALAPPDATA on Windows, ~/Library/Caches on macOS, ~/.cache.
    """
    if stated := os.environ.get("XDG_CACHE_HOME"):
        return Path(stated) / "bandwall"
    if sys.platform == "win32":
        return (
            Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "bandwall" / "Cache"
        )
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "bandwall"
    return Path.home() / ".cache" / "bandwall"


def read_cached(path: Path) -> str | None:
    """The text kept under the path; None where there is none that can be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def keep(path: Path, text: str) -> None:
    """Keeps the text whole or not at all; a folder that cannot be written to keeps nothing."""
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError:
        with suppress(OSError):
            partial.unlink()

"""What makes two runs the same run: the resolved scenario, the files it reads, the code that computes it.

hash = SHA-256 of the resolved tree as canonical JSON and the contents of the files its workload names
code = version + SHA-256 of the package's own source and data files (12 digits)
"""

import hashlib
import json
from collections.abc import Iterator
from functools import cache, lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import cast

from sim.version import __version__

_FILE_KEYS = ("path", "preset", "file")


def canonical(tree: object) -> str:
    """The tree as JSON in which the order of keys does not show."""
    return json.dumps(tree, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def content_hash(text: str, workload: object, base: Path) -> str:
    """The hash of a resolved scenario, given as canonical JSON, whose relative paths start from `base`."""
    digest = hashlib.sha256(text.encode())
    for path in sorted({*_files(workload, base)}):
        state = path.stat()
        digest.update(_file_hash(path, state.st_mtime_ns, state.st_size))
    return digest.hexdigest()


@cache
def code_version() -> str:
    """The version of whatever in the code can change a result."""
    digest = hashlib.sha256()
    for name, content in _sources(files("sim"), ""):
        digest.update(name.encode() + b"\0" + content)
    return f"{__version__}+{digest.hexdigest()[:12]}"


def _files(node: object, base: Path) -> Iterator[Path]:
    """The files that a workload names."""
    if isinstance(node, dict):
        for key, value in cast("dict[str, object]", node).items():
            if key in _FILE_KEYS and isinstance(value, str):
                if (base / value).is_file():
                    yield base / value
            else:
                yield from _files(value, base)
    elif isinstance(node, list):
        for value in cast("list[object]", node):
            yield from _files(value, base)


@lru_cache(maxsize=256)
def _file_hash(path: Path, _changed_ns: int, _size: int) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()


def _sources(folder: Traversable, within: str) -> Iterator[tuple[str, bytes]]:
    """Every source and data file below the folder, by name in a fixed order."""
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        name = f"{within}/{entry.name}"
        if entry.is_dir():
            if entry.name != "__pycache__":
                yield from _sources(entry, name)
        elif entry.name.endswith((".py", ".yaml", ".json", ".csv", ".npz")):
            yield name, entry.read_bytes()

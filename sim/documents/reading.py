"""Reading a YAML or JSON file into a plain tree that remembers its lines."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from sim.documents.yaml_tree import DEEPEST, build
from sim.errors import UserError

LARGEST = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file: the name errors show, its tree of dicts, lists and scalars, and its lines."""

    name: str
    tree: object
    lines: dict[tuple[str | int, ...], int] = field(default_factory=dict, repr=False)

    def line(self, path: Sequence[str | int]) -> int | None:
        """The line of the entry at `path`, or of the nearest entry around it; None if unknown."""
        for depth in range(len(path), -1, -1):
            if (found := self.lines.get(tuple(path[:depth]))) is not None:
                return found
        return None

    def where(self, path: Sequence[str | int]) -> str:
        """How an error begins: file, line and field, as in "mine.yaml:7: memory.stacks"."""
        line = self.line(path)
        place = self.name if line is None else f"{self.name}:{line}"
        return ": ".join((place, ".".join(map(str, path)))) if path else place


def load(path: Path) -> Document:
    """The document in a file; `.json` is read as JSON, everything else as YAML 1.2.

    Raises:
        UserError: for a file that cannot be read, is empty, too large, not UTF-8 or malformed.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise UserError(f"{path} is larger than {LARGEST >> 20} MiB; this is not a scenario or profile")
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UserError(f"cannot read {path}: {reason}") from None
    return decode(content, str(path))


def decode(content: bytes, name: str) -> Document:
    """The document in bytes that came from a file called `name`."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{name} is not UTF-8 text (byte {error.start})") from None
    return parse(text, name)


def parse(text: str, name: str) -> Document:
    """The document in a text; JSON if `name` ends in `.json`, YAML 1.2 otherwise.

    Raises:
        UserError: for an empty or malformed text, with its line.
    """
    if not text.strip():
        raise UserError(f"{name} is empty")
    if name.endswith(".json"):
        return _parse_json(text, name)
    try:
        tree, lines = build(text, name)
    except UnicodeError:
        raise UserError(f"{name} contains characters that are not text") from None
    if tree is None:
        raise UserError(f"{name} contains no value, only comments")
    return Document(name, tree, lines)


def _parse_json(text: str, name: str) -> Document:
    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        tree: dict[str, object] = {}
        for key, value in pairs:
            if key in tree:
                raise UserError(f"{name}: '{key}' is given twice in the same mapping")
            tree[key] = value
        return tree

    try:
        tree = cast("object", json.loads(text, object_pairs_hook=unique))
    except json.JSONDecodeError as error:
        raise UserError(f"{name}:{error.lineno}: not valid JSON: {error.msg}") from None
    except ValueError:
        raise UserError(f"{name}: contains a number of too many digits") from None
    except RecursionError:
        raise UserError(f"{name}: nested more than {DEEPEST} levels deep") from None
    if _deeper_than(tree, DEEPEST):
        raise UserError(f"{name}: nested more than {DEEPEST} levels deep")
    return Document(name, tree, _json_lines(text))


def _deeper_than(tree: object, levels: int) -> bool:
    if isinstance(tree, dict):
        children = list(cast("dict[str, object]", tree).values())
    elif isinstance(tree, list):
        children = cast("list[object]", tree)
    else:
        return False
    return levels == 0 or any(_deeper_than(child, levels - 1) for child in children)


def _json_lines(text: str) -> dict[tuple[str | int, ...], int]:
    """Lines of a JSON text, which is nearly always YAML too; none where it is not."""
    try:
        return build(text, "")[1]
    except (UserError, UnicodeError):
        return {}

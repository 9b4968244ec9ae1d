"""From YAML text to a plain tree and the line of every entry in it.

The tree is built from libyaml's flat stream of events, not by its recursive composer, so that no
input, however deeply nested, exhausts the stack. Anchors, aliases and tags other than `!!str` are
refused: a profile says what it means where it says it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

import yaml

from sim.documents.scalars import scalar
from sim.errors import UserError

Path = tuple[str | int, ...]
DEEPEST = 64
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_STRING_TAGS = ("!", "tag:yaml.org,2002:str")


@dataclass(slots=True)
class _Open:
    """A mapping or sequence that is not finished yet; `key` is the mapping's entry in progress."""

    path: Path
    node: dict[str, object] | list[object]
    key: str | None = None


@dataclass(slots=True)
class _Builder:
    name: str
    lines: dict[Path, int] = field(default_factory=dict)
    stack: list[_Open] = field(default_factory=list)
    root: object = None

    def fail(self, line: int, what: str) -> UserError:
        return UserError(f"{self.name}:{line}: {what}")

    def place(self, line: int) -> Path | None:
        """Where the next node goes; None if it is the key of a mapping."""
        if not self.stack:
            self.lines[()] = line
            return ()
        top = self.stack[-1]
        if isinstance(top.node, list):
            path = (*top.path, len(top.node))
        elif top.key is None:
            return None
        else:
            path = (*top.path, top.key)
        self.lines.setdefault(path, line)
        return path

    def add(self, value: object) -> None:
        if not self.stack:
            self.root = value
            return
        top = self.stack[-1]
        if isinstance(top.node, list):
            top.node.append(value)
        else:
            top.node[cast("str", top.key)] = value
            top.key = None

    def open(self, node: dict[str, object] | list[object], line: int) -> None:
        path = self.place(line)
        if path is None:
            raise self.fail(line, "a key must be a plain word, found a list or mapping")
        if len(self.stack) >= DEEPEST:
            raise self.fail(line, f"nested more than {DEEPEST} levels deep")
        self.add(node)
        self.stack.append(_Open(path, node))

    def word(self, event: yaml.ScalarEvent, line: int) -> None:
        if self.place(line) is not None:
            self.add(self.meaning(event, line))
            return
        top, key = self.stack[-1], cast("str", event.value)
        if key in top.node:
            raise self.fail(line, f"'{key}' is given twice in the same mapping")
        self.lines[(*top.path, key)] = line
        top.key = key

    def meaning(self, event: yaml.ScalarEvent, line: int) -> object:
        text, tag = cast("str", event.value), cast("str | None", event.tag)
        if tag is not None and tag not in _STRING_TAGS:
            raise self.fail(line, f"the tag '{tag}' is not supported; write a plain value")
        if tag is not None or event.style in ("'", '"', "|", ">"):
            return text
        try:
            return scalar(text)
        except ValueError:
            raise self.fail(line, f"the number starting with {text[:20]} has too many digits") from None


def build(text: str, name: str) -> tuple[object, dict[Path, int]]:
    """The tree of a YAML text and the line (from 1) of every path in it.

    Raises:
        UserError: for text that is not YAML, duplicate keys, anchors, tags, more than one document.
    """
    builder = _Builder(name)
    documents = 0
    try:
        for event in _events(text):
            line = event.start_mark.line + 1
            if getattr(event, "anchor", None) is not None:
                raise builder.fail(line, "anchors and aliases are not supported; write the value out")
            match event:
                case yaml.DocumentStartEvent():
                    documents += 1
                    if documents > 1:
                        raise builder.fail(line, "a second document starts here; a file holds one")
                case yaml.MappingStartEvent():
                    builder.open({}, line)
                case yaml.SequenceStartEvent():
                    builder.open([], line)
                case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                    builder.stack.pop()
                case yaml.ScalarEvent():
                    builder.word(event, line)
                case _:
                    pass
    except yaml.YAMLError as error:
        raise UserError(_sentence(error, name)) from None
    return builder.root, builder.lines


def _events(text: str) -> Iterator[yaml.Event]:
    return cast("Iterator[yaml.Event]", yaml.parse(text, Loader=_LOADER))  # pyright: ignore[reportUnknownMemberType]


def _sentence(error: yaml.YAMLError, name: str) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        context = f" ({error.context})" if error.context else ""
        return f"{name}:{error.problem_mark.line + 1}: not valid YAML: {error.problem}{context}"
    reason = str(error).split("\n", maxsplit=1)[0]
    return f"{name}: not valid YAML: {reason}"

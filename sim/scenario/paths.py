"""Which names a path in the resolved tree may take, read off the schemas.

A path is walked through schema and tree together: the schema knows fields that a file left to their
defaults, the tree knows which of several alternatives (an arrival process, an attention form) is meant.
"""

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Union, cast, get_args, get_origin

from pydantic import AliasChoices, BaseModel
from pydantic.fields import FieldInfo

from sim.figures import Figure

FIGURE_KEYS = ("value", "low", "high", "basis", "source", "group")


def alternatives(annotation: object) -> Iterator[object]:
    """The plain types an annotation stands for: `Annotated` stripped, unions flattened, None left out."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from alternatives(get_args(annotation)[0])
    elif origin in (Union, types.UnionType):
        for part in get_args(annotation):
            yield from alternatives(part)
    elif annotation is not type(None):
        yield annotation


def field_names(field: str, info: FieldInfo) -> list[str]:
    """Every spelling a file may use for a field: its alias if it has one, otherwise its name, and choices."""
    spellings = [info.alias or field]
    if isinstance(info.validation_alias, AliasChoices):
        spellings = [choice for choice in info.validation_alias.choices if isinstance(choice, str)]
    return spellings


@dataclass(frozen=True, slots=True)
class Place:
    """One point of the schema: the types that may stand there and, for a field, its default."""

    types: tuple[object, ...]
    default: object = None

    @property
    def is_figure(self) -> bool:
        """A number with range, basis and source may stand here."""
        return Figure in self.types

    def names(self) -> list[str]:
        """Names that may follow; empty where any name may (a mapping) or none (a number)."""
        found: list[str] = list(FIGURE_KEYS) if self.is_figure else []
        for model in self._models():
            for field, info in model.model_fields.items():
                found += [name for name in field_names(field, info) if name not in found]
        return found

    def open(self) -> bool:
        """Any name may follow: a mapping whose keys are the user's, or a type the schema leaves open."""
        return any(t is object or get_origin(t) in (dict, Mapping) or t is dict for t in self.types)

    def below(self, key: str | int) -> "Place | None":
        """The place one step down, None where the schema has no such step."""
        if self.is_figure and key in FIGURE_KEYS:
            return Place((object,))
        for model in self._models():
            for field, info in model.model_fields.items():
                if key in field_names(field, info):
                    return self._merged(key)
        for t in self.types:
            inner = get_args(t)
            if isinstance(key, int) and get_origin(t) in (list, tuple) and inner:
                return Place(tuple(alternatives(inner[0])))
            if isinstance(key, str) and self.open():
                return Place(tuple(alternatives(inner[1])) if len(inner) == 2 else (object,))
        return None

    def _models(self) -> list[type[BaseModel]]:
        return [t for t in self.types if isinstance(t, type) and issubclass(t, BaseModel)]

    def _merged(self, key: str | int) -> "Place":
        """The field `key` of every alternative that has one, together."""
        found: list[object] = []
        default: object = None
        for model in self._models():
            for field, info in model.model_fields.items():
                if key in field_names(field, info):
                    found += alternatives(info.annotation)
                    default = default if info.is_required() else cast("object", info.default)
        return Place(tuple(found), default)


def root(model: type[BaseModel]) -> Place:
    """The place where a schema begins."""
    return Place((model,))

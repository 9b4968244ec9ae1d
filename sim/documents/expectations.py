"""What a pydantic model allows at a place: the field names there, or the tags of a union."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, cast, get_args, get_origin

from pydantic import BaseModel

Loc = Sequence[str | int]


def fields_at(model_class: type[BaseModel], loc: Loc) -> list[str]:
    """Names a mapping at `loc` may have, sorted; empty where any name may stand."""
    names: set[str] = set()
    for annotation in _annotations_at(model_class, loc):
        for model in _models(annotation):
            names |= {field.alias or name for name, field in model.model_fields.items()}
    return sorted(names)


def tags_at(model_class: type[BaseModel], loc: Loc, key: str) -> list[str]:
    """Values the field `key` may have in the union at `loc`, sorted."""
    models = [model for annotation in _annotations_at(model_class, loc) for model in _models(annotation)]
    tags = (tag for model in models for tag in _literals(model, key))
    return sorted(set(tags))


def _annotations_at(model_class: type[BaseModel], loc: Loc) -> list[object]:
    here: list[object] = [model_class]
    for step in loc:
        here = [inner for annotation in here for inner in _step(annotation, step)]
    return here


def _step(annotation: object, step: str | int) -> Iterator[object]:
    """One step further in: a field, the member of a list or mapping, the member of a union by its tag."""
    for part in _flatten(annotation):
        if isinstance(part, type) and issubclass(part, BaseModel):
            yield from _step_into_model(part, step)
        else:
            yield from _step_into_container(cast("object", part), step)


def _step_into_container(annotation: object, step: str | int) -> Iterator[object]:
    origin, arguments = get_origin(annotation), _arguments(annotation)
    if origin in (list, tuple) and isinstance(step, int):
        yield from (argument for argument in arguments if argument is not Ellipsis)
    elif origin is dict:
        yield arguments[1]


def _step_into_model(model: type[BaseModel], step: str | int) -> Iterator[object]:
    for name, field in model.model_fields.items():
        if step in (name, field.alias):
            yield cast("object", field.annotation)
    if any(step in _literals(model, name) for name in model.model_fields) or step == model.__name__:
        yield model


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    for part in _flatten(annotation):
        if isinstance(part, type) and issubclass(part, BaseModel):
            yield part


def _flatten(annotation: object) -> Iterator[object]:
    """The annotation without Annotated and with the members of unions one by one."""
    origin = get_origin(annotation)
    if origin is None or origin in (list, tuple, dict, Literal):
        yield annotation
        return
    arguments = _arguments(annotation)
    inner: Iterable[object] = arguments[:1] if hasattr(annotation, "__metadata__") else arguments
    for argument in inner:
        yield from _flatten(argument)


def _arguments(annotation: object) -> tuple[object, ...]:
    return cast("tuple[object, ...]", get_args(annotation))


def _literals(model: type[BaseModel], key: str) -> tuple[str, ...]:
    field = model.model_fields.get(key)
    if field is None or get_origin(field.annotation) is not Literal:
        return ()
    return tuple(str(value) for value in _arguments(field.annotation))

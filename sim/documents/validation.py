"""A tree checked against a pydantic model; what is wrong with it as one sentence.

"scenario.yaml:12: cluster.chip.memory: unknown field 'bandwith'; did you mean 'bandwidth'? (known: …)"
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar, cast

from pydantic import BaseModel, ConfigDict, ValidationError

from sim.documents.expectations import fields_at, tags_at
from sim.errors import UserError, nearest

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from sim.documents.reading import Document

Model = TypeVar("Model", bound=BaseModel)
Path = tuple[str | int, ...]

WRITTEN = ConfigDict(frozen=True, extra="forbid", defer_build=True)
"""How every schema of what a user writes behaves: no unknown fields, no changes afterwards.

A validator is built when first needed, for most schemas only as a part of a larger one: that saves a third
of the time that schemas cost at start-up.
"""


def validate(
    model_class: type[Model],
    tree: object,
    *,
    document: "Document | None" = None,
    name: str = "",
    prefix: Path = (),
) -> Model:
    """The tree as an instance of the model.

    Args:
        document: where the tree came from, for file name and line.
        name: the file's name where there is no document.
        prefix: path of `tree` within the document.
    Raises:
        UserError: one sentence about the most telling of the errors found.
    """
    try:
        return model_class.model_validate(tree)
    except ValidationError as error:
        details = min(error.errors(include_url=False), key=_telling)
    path = _tree_path(tree, details["loc"])
    what = _sentence(model_class, details)
    full = (*prefix, *path)
    where = document.where(full) if document else ": ".join(filter(None, (name, ".".join(map(str, full)))))
    raise UserError(f"{where}: {what}" if where else what) from None


def _telling(details: "ErrorDetails") -> int:
    """A misspelt name comes before the missing one it causes; a missing one before all others."""
    return {"extra_forbidden": 0, "missing": 1}.get(details["type"], 2)


def _tree_path(tree: object, loc: Path) -> Path:
    """`loc` without the steps that are not in the tree: a missing field, a member of a union."""
    path: list[str | int] = []
    for step in loc:
        if isinstance(tree, dict) and step in tree:
            tree = cast("dict[str | int, object]", tree)[step]
        elif isinstance(tree, list) and isinstance(step, int) and step < len(cast("list[object]", tree)):
            tree = cast("list[object]", tree)[step]
        else:
            continue
        path.append(step)
    return tuple(path)


def _sentence(model_class: type[BaseModel], details: "ErrorDetails") -> str:
    kind, loc, context = details["type"], details["loc"], details.get("ctx", {})
    found = cast("object", details["input"])
    match kind:
        case "extra_forbidden":
            known = fields_at(model_class, loc[:-1])
            return f"unknown field{nearest(str(loc[-1]), known)} {_known(known)}"
        case "missing":
            return f"'{loc[-1]}' is missing"
        case "union_tag_invalid":
            tag, key = str(context["tag"]), str(context["discriminator"]).strip("'")
            known = tags_at(model_class, loc, key)
            return f"unknown {key} '{tag}'{nearest(tag, known)} {_known(known)}"
        case "union_tag_not_found":
            key = str(context["discriminator"]).strip("'")
            return f"'{key}' is missing {_known(tags_at(model_class, loc, key))}"
        case "literal_error":
            expected = str(context["expected"])
            hint = (
                nearest(found, expected.replace("'", "").replace(" or ", ", ").split(", "))
                if isinstance(found, str)
                else ""
            )
            return f"found {_shown(found)}, must be {expected}{hint}"
        case "value_error" | "assertion_error":
            return details["msg"].partition(", ")[2]
        case "model_type" | "dict_type" | "model_attributes_type":
            known = fields_at(model_class, loc)
            return f"found {_shown(found)}, needs fields with values{' ' + _known(known) if known else ''}"
        case "too_short" | "too_long":
            bound = "at least" if kind == "too_short" else "at most"
            size = context["min_length" if kind == "too_short" else "max_length"]
            return f"found a list of {context['actual_length']}; it should have {bound} {size}"
        case _:
            expected = details["msg"].replace("Input should", "it should").partition(", unable to parse")[0]
            return f"found {_shown(found)}; {expected}"


def _known(names: Sequence[str]) -> str:
    return f"(known: {', '.join(names[:40])})" if names else ""


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    text = f"'{value}'" if isinstance(value, str) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"

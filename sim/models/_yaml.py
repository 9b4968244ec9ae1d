"""Stand-in for `sim.documents` until it exists: parse YAML or JSON, validate with one sentence."""

import json
from pathlib import Path
from typing import TypeVar, cast

import yaml
from pydantic import BaseModel, ValidationError

from sim.errors import UserError

M = TypeVar("M", bound=BaseModel)


def parse(text: str, name: str) -> dict[str, object]:
    try:
        tree: object = json.loads(text) if name.endswith(".json") else yaml.load(text, yaml.CSafeLoader)
    except (ValueError, yaml.YAMLError) as error:
        raise UserError(f"{name}: {' '.join(str(error).split())}") from None
    if not isinstance(tree, dict):
        raise UserError(f"{name}: must be a mapping")
    return cast("dict[str, object]", tree)


def load(path: Path) -> dict[str, object]:
    try:
        return parse(path.read_text("utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from None


def validate(model: type[M], tree: object, name: str) -> M:
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{name}: {where}: {first['msg']}") from None

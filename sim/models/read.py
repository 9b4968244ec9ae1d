"""Finding and reading a model: a catalogue name, a file of our form, or a Hugging Face config.json.

A tree that has been read is complete: `based_on` is merged in, a config.json is converted, and the
published counts have been compared with what the dimensions give.
"""

import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import cast

from sim.documents import Document, load, overlaid, parse, validate
from sim.errors import UserError, unknown
from sim.models.accounting import total_params
from sim.models.architecture import ModelArchitecture
from sim.models.build import build_model
from sim.models.schema import ModelSpec

PUBLISHED_TOLERANCE = 0.05
"""A printed "671B" is rounded, and authors count embeddings and towers differently."""

_SHAPE = {"hidden", "vocab", "tied", "final_norm", "attention", "ffn", "layers"}
"""An entry that states any of these is another model: it does not inherit published counts."""

_HUB_ID = re.compile(r"\w[\w.-]*/[\w.-]+")
_ENDINGS = (".yaml", ".yml", ".json")


@cache
def model_names() -> tuple[str, ...]:
    """Names of the built-in catalogue, sorted."""
    files = resources.files("sim.models").joinpath("catalogue").iterdir()
    return tuple(sorted(f.name.removesuffix(".yaml") for f in files if f.name.endswith(".yaml")))


def read_model(name_or_path: str, base: Path | None = None) -> dict[str, object]:
    """The complete `model:` tree of a name, path or hub id, in our form.

    Args:
        name_or_path: a catalogue name; with a / or ending .yaml/.json a path; 'org/name' a hub id.
        base: the folder paths are relative to; the working directory if None.
    Raises:
        UserError: for an unknown name, an unreadable or wrong file, an architecture that was not understood,
            or a published count that the dimensions contradict.
    """
    if "/" not in name_or_path and not name_or_path.endswith(_ENDINGS):
        return _read_catalogue(name_or_path)
    path = (base or Path()) / name_or_path
    if path.is_dir():
        path = path / "config.json"
    elif not path.exists() and _HUB_ID.fullmatch(name_or_path) and not name_or_path.endswith(_ENDINGS):
        path = _fetch_config(name_or_path)
    document = load(path)
    if path.suffix == ".json":
        # Thirteen modules that a catalogue name does without.
        from sim.models.huggingface import convert, is_config

        if is_config(document.tree):
            tree = convert(cast("dict[str, object]", document.tree), document.name)
            validate(ModelSpec, tree, name=document.name)
            return tree
    return _complete(document)


def load_model(name_or_path: str, base: Path | None = None) -> ModelArchitecture:
    """The architecture of a catalogue name, path or hub id; errors as `read_model`."""
    return build_model(validate(ModelSpec, read_model(name_or_path, base), name=name_or_path))


def _read_catalogue(name: str) -> dict[str, object]:
    if name not in model_names():
        raise unknown("model", name, model_names())
    file = f"{name}.yaml"
    text = resources.files("sim.models").joinpath("catalogue", file).read_text("utf-8")
    return _complete(parse(text, file))


def _complete(document: Document) -> dict[str, object]:
    """The document's tree with the entry it is based on merged in, checked."""
    if not isinstance(document.tree, dict):
        validate(ModelSpec, document.tree, document=document)
    own = dict(cast("dict[str, object]", document.tree))
    parent = own.pop("based_on", None)
    if parent is not None:
        if parent not in model_names():
            raise UserError(f"{document.name}: based_on: {unknown('model', str(parent), model_names())}")
        own = _inherit(_read_catalogue(str(parent)), own)
    spec = validate(ModelSpec, own, document=document)
    _check_published(build_model(spec), document.name)
    return own


def _inherit(parent: Mapping[str, object], own: Mapping[str, object]) -> dict[str, object]:
    inherited = {k: v for k, v in parent.items() if k != "published" or _SHAPE.isdisjoint(own)}
    return overlaid(inherited, own)


def _check_published(model: ModelArchitecture, file: str) -> None:
    total = total_params(model)
    if model.exact_total is not None and total != model.exact_total:
        raise UserError(
            f"{file}: published.exact_total is {model.exact_total:,} parameters, "
            f"but the dimensions give {total:,} ({total - model.exact_total:+,})"
        )
    published = model.published_total
    if published and abs(total - published) > PUBLISHED_TOLERANCE * published:
        raise UserError(
            f"{file}: published.total is {published:.6g} parameters, but the dimensions give {total:,} "
            f"({(total - published) / published:+.1%}; at most {PUBLISHED_TOLERANCE:.0%} apart is allowed)"
        )


def _fetch_config(hub_id: str) -> Path:
    try:
        from huggingface_hub import hf_hub_download  # pyright: ignore
    except ImportError:
        raise UserError(
            f"'{hub_id}' is no file here; to fetch it as a Hugging Face hub id, install huggingface_hub "
            f"(pip install 'bandwall[hub]')"
        ) from None
    try:
        return Path(cast("str", hf_hub_download(hub_id, "config.json")))
    except Exception as error:
        raise UserError(f"config.json of '{hub_id}' could not be fetched: {error}") from None

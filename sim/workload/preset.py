"""The statistics of a service as data: its clients, and its sessions if it has any."""

from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field

from sim.documents import WRITTEN, load, parse, validate
from sim.errors import unknown
from sim.units import Seconds
from sim.workload.gaps import Family
from sim.workload.lengths import Lengths
from sim.workload.prefix import SharedPrefix

Share = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)]
Variation = Annotated[float, Field(ge=0.05, le=100, strict=True)]


class Client(BaseModel):
    """One client of a service: a renewal process of its own and its own lengths.

    `share` is in proportion to the other clients' shares; `cv` that of the gaps between its requests.
    """

    model_config = WRITTEN

    name: str
    share: Share
    family: Family = "gamma"
    cv: Variation
    prompt_tokens: Lengths
    output_tokens: Lengths


class Sessions(BaseModel):
    """Conversations: a geometric number of turns, each prompt beginning with all that was said before.

    `pause` is the mean time from one turn's arrival to the next, its cv `pause_cv`. `prompt_tokens` of the
    client are then what each turn adds. A conversation ends before its prompt would exceed `context`.
    """

    model_config = WRITTEN

    turns: Annotated[float, Field(ge=1, le=1000, strict=True)]
    pause: Annotated[Seconds, Field(gt=0)]
    pause_cv: Variation = 1.0
    context: Annotated[int, Field(ge=1, strict=True)]
    system: SharedPrefix


class Preset(BaseModel):
    """A synthetic service. `source` says where its statistics are published."""

    model_config = WRITTEN

    title: str
    source: str
    rate: Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)]
    clients: Annotated[tuple[Client, ...], Field(min_length=1)]
    sessions: Sessions | None = None


@cache
def preset_names() -> tuple[str, ...]:
    """Names of the presets that ship, sorted."""
    entries = files("sim.workload").joinpath("presets").iterdir()
    return tuple(sorted(e.name.removesuffix(".yaml") for e in entries if e.name.endswith(".yaml")))


def read_preset(name_or_path: str, base: Path | None = None) -> Preset:
    """A preset by name, or from a file (a name with a / or an ending).

    Raises:
        UserError: unknown name, unreadable or wrong file.
    """
    if "/" in name_or_path or name_or_path.endswith((".yaml", ".yml", ".json")):
        document = load((base or Path()) / name_or_path)
    elif name_or_path in preset_names():
        file = f"{name_or_path}.yaml"
        text = files("sim.workload").joinpath("presets", file).read_text(encoding="utf-8")
        document = parse(text, file)
    else:
        raise unknown("preset", name_or_path, preset_names())
    return validate(Preset, document.tree, document=document)

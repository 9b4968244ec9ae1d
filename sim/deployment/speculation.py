"""Speculative decoding of a deployment: who drafts, how many tokens, and how often drafts are right.

    mtp           the model's own multi-token-prediction modules; one decoder layer a pass, embedding and head
                  are the model's; module i drafts token i, or the last one that there is
    draft_model   a small model beside it, on the same chips, cut up alike

P_j, the probability that draft j and all before it are right: `acceptance`^j, or stated per position, as
vLLM reports it (accepted at position j / steps). Semantics of steps and KV slots: docs/serving-at-scale.md.
"""

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal, Self, cast

from pydantic import AfterValidator, BaseModel, Field, model_validator

from sim.deployment.deployment import Parallel, Precision, Speculation, drafter_parallel
from sim.deployment.layout import layout_problem
from sim.documents import WRITTEN
from sim.errors import UserError
from sim.figures import Figure, NumberFigure, Resolution, dump_figure
from sim.models import ModelSpec, build_model, read_model
from sim.models.architecture import ModelArchitecture
from sim.units import NUMBER

MOST_DRAFTS = 15

ACCEPTANCE = Figure(
    0.8,
    NUMBER,
    0.6,
    0.9,
    "estimate",
    "85-90 % of second tokens over topics (DeepSeek-V3 technical report, section 5.4.3); drafts further "
    "ahead and other drafters are accepted less often",
)
"""Probability that a draft is right where those before it are, where nothing is stated."""


def _probability(figure: Figure) -> Figure:
    if (figure.value if figure.high is None else figure.high) > 1:
        raise ValueError(f"{figure.text()} is a probability: at most 1 is allowed")
    return replace(figure, bounds=(0.0, 1.0))


Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class SpeculationSpec(BaseModel):
    """Drafts verified in every decode step; vLLM's names (`--speculative-config`)."""

    model_config = WRITTEN

    method: Literal["mtp", "draft_model"] = Field(description="who drafts")
    num_speculative_tokens: Annotated[int, Field(ge=1, le=MOST_DRAFTS, strict=True)] = Field(
        default=1, description="drafts a step"
    )
    model: ModelSpec | None = Field(
        default=None, description="the draft model: catalogue name, path or the model itself"
    )
    acceptance: Annotated[NumberFigure, AfterValidator(_probability)] = Field(
        default=ACCEPTANCE, description="probability that a draft is right where those before it are"
    )
    acceptance_by_position: tuple[Probability, ...] | None = Field(
        default=None,
        description="instead: share of steps in which draft j and all before it are right, for each j; a "
        "list, or a file of one number a line",
    )

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        if (self.method == "draft_model") != (self.model is not None):
            needs = "needs 'model'" if self.method == "draft_model" else "takes no 'model'"
            raise ValueError(f"method {self.method} {needs}")
        stated = self.acceptance_by_position
        if stated is None:
            return self
        if len(stated) != self.num_speculative_tokens:
            raise ValueError(
                f"acceptance_by_position has {len(stated)} numbers for {self.num_speculative_tokens} drafts"
            )
        if any(later > earlier for earlier, later in pairwise(stated)):
            raise ValueError("acceptance_by_position rises: a draft counts only if all before it are right")
        return self


def read_speculation(raw: object, base: Path | None) -> object:
    """The raw `speculation:` tree with its model and acceptance file in their full form.

    Raises:
        UserError: for an unknown model, an unreadable or malformed file.
    """
    if not isinstance(raw, Mapping):
        return raw
    tree = dict(cast("Mapping[str, object]", raw))
    tree.setdefault("num_speculative_tokens", 1)
    if tree.get("acceptance_by_position") is None:
        tree.setdefault("acceptance", dump_figure(ACCEPTANCE))
    if isinstance(model := tree.get("model"), str):
        tree["model"] = read_model(model, base)
    if isinstance(path := tree.get("acceptance_by_position"), str):
        tree["acceptance_by_position"] = _read_positions((base or Path()) / path)
    return tree


def _read_positions(path: Path) -> list[float]:
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8 text") from None
    found: list[float] = []
    for number, line in enumerate(lines, start=1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        try:
            found.append(float(text))
        except ValueError:
            raise UserError(
                f"{path.name}:{number}: found '{text[:60]}', needs a number from 0 to 1"
            ) from None
    return found


def speculate(
    spec: SpeculationSpec,
    model: ModelArchitecture,
    parallel: Parallel,
    precision: Precision,
    resolution: Resolution,
) -> Speculation:
    """The drafter and its acceptance.

    Raises:
        UserError: for a model without prediction modules, a draft model that cannot be cut up like the model.
    """
    drafts = spec.num_speculative_tokens
    if spec.acceptance_by_position is not None:
        acceptance = tuple(spec.acceptance_by_position)
    else:
        each = resolution.take("acceptance", spec.acceptance)
        acceptance = tuple(each**j for j in range(1, drafts + 1))
    if spec.model is None:
        if not model.mtp_layers:
            raise UserError(
                f"deployment.speculation.method: {model.name} ships no multi-token-prediction module; "
                "give method draft_model and a 'model'"
            )
        return Speculation(acceptance, _module(model), min(drafts, model.mtp_layers), shares_weights=True)
    drafter = build_model(spec.model)
    problem = layout_problem(drafter, drafter_parallel(drafter, parallel), precision.weights)
    if problem:
        raise UserError(
            f"deployment.speculation.model: {drafter.name} is cut up like {model.name}: {problem}"
        )
    return Speculation(acceptance, drafter, 1, shares_weights=False)


def _module(model: ModelArchitecture) -> ModelArchitecture:
    """One prediction module as a model of one layer, with the embedding and head it shares."""
    layer = model.layers[-1] if model.mtp_layer is None else model.mtp_layer
    return ModelArchitecture(
        name=f"{model.name} MTP module",
        title=f"{model.title} MTP module",
        hidden=model.hidden,
        vocab=model.vocab,
        layers=(layer,),
        context=model.context,
        tied=model.tied,
        released_dtype=model.released_dtype,
        source=model.source,
    )

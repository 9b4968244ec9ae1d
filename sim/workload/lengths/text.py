"""Lengths of texts in characters, as tokens of a vocabulary.

    tokens = characters / characters per token

How many characters of a language a token holds depends on what the vocabulary was trained on;
`vocabularies.yaml` beside this file has the figures with their sources.
"""

from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, model_validator

from sim.documents import WRITTEN, parse, validate
from sim.errors import unknown
from sim.figures import Basis
from sim.workload.lengths.bounds import Bounded
from sim.workload.lengths.constant import ConstantLength
from sim.workload.lengths.lognormal import Lognormal
from sim.workload.lengths.quantiles import Quantiles
from sim.workload.lengths.uniform import Uniform

Language = Literal["korean", "english"]
Characters = Annotated[ConstantLength | Uniform | Lognormal | Quantiles, Field(discriminator="distribution")]


class CharactersPerToken(BaseModel):
    """Characters, spaces included, that a token holds on average."""

    model_config = WRITTEN

    value: Annotated[float, Field(gt=0)]
    low: float
    high: float
    basis: Basis
    source: str


class _Catalogue(BaseModel):
    model_config = WRITTEN

    vocabularies: dict[str, dict[Language, CharactersPerToken]]


@cache
def vocabularies() -> dict[str, dict[Language, CharactersPerToken]]:
    """Vocabularies that ship, by name."""
    text = files("sim.workload.lengths").joinpath("vocabularies.yaml").read_text(encoding="utf-8")
    document = parse(text, "vocabularies.yaml")
    return validate(_Catalogue, document.tree, document=document).vocabularies


class TextLength(Bounded):
    """Texts of so many characters in a language."""

    distribution: Literal["text"]
    characters: Characters = Field(description="characters, spaces included; its `min` and `max` too")
    language: Language = Field(description="what the texts are written in")
    vocabulary: str = Field(default="a.x", description="a.x, multilingual or english-trained")

    @model_validator(mode="after")
    def _vocabulary_is_known(self) -> Self:
        if self.vocabulary not in vocabularies():
            raise ValueError(str(unknown("vocabulary", self.vocabulary, vocabularies())))
        return self

    @property
    def ratio(self) -> CharactersPerToken:
        """Characters per token of this language in this vocabulary."""
        return vocabularies()[self.vocabulary][self.language]

    @property
    def note(self) -> str:
        """What the lengths rest on."""
        ratio = self.ratio
        return (
            f"{self.language} texts at {ratio.value:g} characters per token of the {self.vocabulary} "
            f"vocabulary ({ratio.low:g} to {ratio.high:g}, {ratio.basis}: {ratio.source})"
        )

    def sample(self, u: NDArray[np.float64], base: Path | None = None) -> NDArray[np.int64]:
        """Lengths of the requests with these uniforms, tokens."""
        return self.rounded(self.characters.sample(u, base) / self.ratio.value)

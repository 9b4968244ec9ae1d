"""Lengths as they were observed: weighted values, in the scenario or in a file of `tokens[,weight]` lines."""

from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from sim.errors import UserError
from sim.workload.choice import chosen
from sim.workload.lengths.bounds import Bounded, Tokens
from sim.workload.limits import MOST_TOKENS
from sim.workload.traces.text import numbered_lines

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)]


class Empirical(Bounded):
    """Observed lengths; give `values` (and `weights`) or `path`. Values outside the bounds are left out."""

    distribution: Literal["empirical"]
    values: Annotated[tuple[Tokens, ...], Field(min_length=1)] | None = Field(
        default=None, description="observed lengths"
    )
    weights: tuple[Weight, ...] | None = Field(
        default=None, description="of each value, all alike if left out"
    )
    path: str | None = Field(
        default=None, description="file of tokens[,weight] lines, relative to the scenario"
    )

    @model_validator(mode="after")
    def _values_or_a_file(self) -> Self:
        if (self.values is None) == (self.path is None):
            raise ValueError("empirical lengths need either 'values' or 'path'")
        if self.weights is not None and len(self.weights) != len(self.values or ()):
            raise ValueError(f"{len(self.weights)} weights for {len(self.values or ())} values")
        return self

    def sample(self, u: NDArray[np.float64], base: Path | None = None) -> NDArray[np.int64]:
        """Lengths of the requests with these uniforms.

        Raises:
            UserError: an unreadable or malformed file.
            ValueError: no weight within the bounds.
        """
        values, weights = self._table(base)
        inside = (values >= self.min) & (values <= (self.max or MOST_TOKENS)) & (weights > 0)
        values, weights = values[inside], weights[inside]
        if not len(values):
            raise ValueError(f"no value with a weight lies between {self.min} and {self.max or 'any'}")
        order = np.argsort(values, kind="stable")
        return values[order][chosen(weights[order], u)]

    def _table(self, base: Path | None) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        if self.path is not None:
            return _read_table((base or Path()) / self.path)
        values = np.array(self.values, np.int64)
        return values, np.ones(len(values)) if self.weights is None else np.array(self.weights)


def _read_table(path: Path) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    values: list[int] = []
    weights: list[float] = []
    for number, line in numbered_lines(path):
        tokens, _, weight = line.partition(",")
        try:
            values.append(int(tokens))
            weights.append(float(weight) if weight else 1.0)
        except ValueError:
            raise UserError(f"{path.name}:{number}: found '{line}', needs tokens or tokens,weight") from None
        if not 1 <= values[-1] <= MOST_TOKENS or not 0 <= weights[-1] < float("inf"):
            raise UserError(
                f"{path.name}:{number}: found '{line}', needs 1 to {MOST_TOKENS} tokens and a weight "
                "of at least 0"
            )
    if not values:
        raise UserError(f"{path.name} holds no lengths")
    return np.array(values, np.int64), np.array(weights)

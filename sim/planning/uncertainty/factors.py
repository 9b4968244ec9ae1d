"""What is uncertain about a scenario.

    figures      every figure with a range, quantiles as in `sim.figures`; those of one group share theirs
    model error  one factor on the time of each class of operators on each chip (`sim.hardware.model_error`)
    load         the mean lengths of prompts and answers where the workload states them, times 0.8 … 1.25
    varied       what a user varies besides: every point of its range is as likely as another

A factor has one u in [0, 1]. Draws are a Latin hypercube. Each factor has a random stream of its own, named
after it, so that a figure that two candidates share is drawn alike for both, and one more factor changes no
other.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from sim.errors import UserError
from sim.figures import Figure
from sim.hardware.model_error import PATH as MODEL_ERROR
from sim.planning.evaluate import Task
from sim.planning.identity import canonical
from sim.planning.latin_hypercube import latin_hypercube
from sim.planning.sweep.axes import Range
from sim.scenario.prepared import prepare
from sim.scenario.scenario import Scenario
from sim.units import NUMBER

MIDDLE = 0.5
LENGTHS = (0.8, 1.25)
"""Factors on a mean length at the ends of its 90 % interval: an assumption, the traffic of another
quarter."""
Kind = Literal["figure", "model error", "load", "varied"]


@dataclass(frozen=True, slots=True)
class Factor:
    """One uncertain thing.

    Attributes:
        name: path or group; figure: what it may be (the first of its group).
        varied: where it is a path that a user varies.
        kind: where its uncertainty comes from; a figure of the load is set at its path, like a varied one.
    """

    name: str
    figure: Figure | None = None
    varied: Range | None = None
    kind: Kind = "figure"

    def text(self, u: float) -> str:
        """What it is at u."""
        if self.figure is not None:
            return replace(self.figure, value=self.figure.quantile(u), low=None, high=None).text()
        return "" if self.varied is None else self.varied.at(u)

    def override(self, u: float) -> str | None:
        """What sets it to u in a scenario; None for a figure of a profile, which is drawn."""
        if self.varied is not None:
            return f"{self.name}={self.varied.at(u)}"
        if self.kind == "load" and self.figure is not None:
            drawn = self.figure.quantile(u)
            return f"{self.name}={round(drawn) if self.name.endswith('.value') else drawn}"
        return None


def factors(scenario: Scenario, vary: Mapping[str, Range] | None = None) -> tuple[Factor, ...]:
    """The factors of a scenario, in the order in which it meets them; what a user varies is no other factor.

    Raises:
        UserError: for a scenario whose layout is impossible.
    """
    varied = dict(vary or {})
    for path, each in varied.items():
        _check_varied(scenario, f"{path}={each.at(0.5)}")
    found = (*ranged(prepare(scenario.drawn({})).figures), *_load(scenario.tree["workload"], "workload"))
    return (
        *(factor for factor in found if factor.name not in varied),
        *(Factor(path, None, each, "varied") for path, each in varied.items()),
    )


def _check_varied(scenario: Scenario, override: str) -> None:
    try:
        scenario.changed([override])
    except UserError as error:
        raise UserError(str(error).replace("--set ", "--vary ", 1)) from None


def _load(node: object, path: str) -> Iterator[Factor]:
    """The stated mean lengths below a part of the workload."""
    items = enumerate(cast("list[object]", node)) if isinstance(node, list) else _entries(node)
    for key, value in items:
        here = f"{path}.{key}"
        if key not in ("prompt_tokens", "output_tokens"):
            yield from _load(value, here)
            continue
        for name, stated in _entries(value):
            if name in ("mean", "value") and isinstance(stated, int | float):
                low, high = (stated * factor for factor in LENGTHS)
                source = "mean length of the traffic to come"
                figure = Figure(float(stated), NUMBER, low, high, "assumption", source, bounds=(1.0, np.inf))
                yield Factor(f"{here}.{name}", figure, kind="load")


def _entries(node: object) -> Iterator[tuple[str, object]]:
    if isinstance(node, dict):
        yield from cast("dict[str, object]", node).items()


def ranged(figures: Mapping[str, Figure]) -> tuple[Factor, ...]:
    """Those of the figures that have a range, a group once."""
    found: dict[str, Factor] = {}
    for path, figure in figures.items():
        name = figure.group or path
        if figure.low is not None and figure.high is not None and figure.low < figure.high:
            kind = "model error" if name.startswith(f"{MODEL_ERROR}.") else "figure"
            found.setdefault(name, Factor(name, figure, kind=kind))
    return tuple(found.values())


def draws(names: Sequence[str], samples: int, seed: int) -> NDArray[np.float64]:
    """u of each factor (column) in each sample (row): a Latin hypercube."""
    columns = [
        latin_hypercube(samples, 1, np.random.default_rng([seed, crc32(name.encode())]))[:, 0]
        for name in names
    ]
    return np.stack(columns, axis=1) if columns else np.empty((samples, 0))


def task_at(scenario: Scenario, known: Sequence[Factor], u: Sequence[float], key: str) -> Task:
    """The run with each factor at its u; NaN leaves a factor at its value.

    Raises:
        UserError: where a varied path cannot take its value.
    """
    placed = [(factor, float(place)) for factor, place in zip(known, u, strict=True) if place == place]
    sets = {factor.name: factor.override(place) for factor, place in placed}
    draw = {factor.name: place for factor, place in placed if sets[factor.name] is None}
    changed = scenario.changed([override for override in sets.values() if override is not None])
    return Task(key, canonical(changed.tree), str(changed.base.resolve()), changed.name, draw)

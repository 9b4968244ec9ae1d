"""Sensitivity: which factor moves an output, one at a time and together.

tornado   the output with one factor at the 5 % and at the 95 % end of its range, the others at their value;
          elasticity = ln(output high / output low) / ln(factor high / factor low)
Morris    mean absolute elementary effect over random trajectories between those ends (mu_star) and their
          spread (sigma): a sieve over many factors for few runs. Source: Morris, Technometrics 33 (1991);
          Campolongo et al. (2007).
Sobol     shares of the output's variance: S1 by the factor alone, ST with all its interactions.
          Source: Sobol, Math. Comput. Simul. 55 (2001); Saltelli et al. (2010), through SALib.

All work on u in [0, 1]^d through one function from a matrix of u to a vector of outputs.
"""

import importlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from sim.errors import UserError
from sim.figures import HIGH_END, LOW_END
from sim.planning.uncertainty.factors import Factor

Floats = NDArray[np.float64]
Model = Callable[[Floats], Floats]
"""Rows of u, NaN for a factor that keeps its value → outputs, NaN where a run was refused."""

_LEVELS = 4


@dataclass(frozen=True, slots=True)
class Bar:
    """One factor of a tornado. `low`, `high`: the output there; `elasticity`: NaN where it has no meaning."""

    factor: str
    at_low: str
    at_high: str
    low: float
    high: float
    elasticity: float

    @property
    def swing(self) -> float:
        """How far the output moves."""
        return abs(self.high - self.low)


def tornado(factors: Sequence[Factor], model: Model) -> tuple[float, tuple[Bar, ...]]:
    """(the output with everything at its value, factors by falling swing); 2 d + 1 runs."""
    count = len(factors)
    u = np.full((2 * count + 1, count), np.nan)
    for i in range(count):
        u[1 + 2 * i, i], u[2 + 2 * i, i] = LOW_END, HIGH_END
    y = model(u)
    bars = [_bar(factor, float(y[1 + 2 * i]), float(y[2 + 2 * i])) for i, factor in enumerate(factors)]
    return float(y[0]), tuple(sorted(bars, key=lambda bar: (math.isnan(bar.swing), -bar.swing)))


def _bar(factor: Factor, low: float, high: float) -> Bar:
    figure, elasticity = factor.figure, math.nan
    if figure is not None and figure.low and figure.high and low > 0 and high > 0:
        elasticity = math.log(high / low) / math.log(figure.high / figure.low)
    return Bar(factor.name, factor.text(LOW_END), factor.text(HIGH_END), low, high, elasticity)


@dataclass(frozen=True, slots=True)
class Effect:
    """Morris: mean absolute effect of a factor over its range, and its spread."""

    factor: str
    mu_star: float
    sigma: float


@dataclass(frozen=True, slots=True)
class Share:
    """Sobol: a factor's share of the variance alone and with interactions, ± 95 %."""

    factor: str
    first: float
    first_confidence: float
    total: float
    total_confidence: float


class _Sampler(Protocol):
    def sample(self, problem: object, count: int, **options: object) -> Floats: ...


class _Morris(Protocol):
    def analyze(self, problem: object, u: Floats, y: Floats, **options: object) -> dict[str, Floats]: ...


class _Sobol(Protocol):
    def analyze(self, problem: object, y: Floats, **options: object) -> dict[str, Floats]: ...


def morris(names: Sequence[str], model: Model, trajectories: int, seed: int) -> tuple[Effect, ...]:
    """Effects by falling mu_star; trajectories · (d + 1) runs.

    Raises:
        UserError: without SALib, or where a run is refused.
    """
    problem = _problem(names)
    sampler = cast("_Sampler", _salib("SALib.sample.morris"))
    analysis = cast("_Morris", _salib("SALib.analyze.morris"))
    u = sampler.sample(problem, trajectories, num_levels=_LEVELS, seed=seed)
    found = analysis.analyze(problem, u, _all_run(model(u)), num_levels=_LEVELS, seed=seed)
    rows = zip(names, found["mu_star"], found["sigma"], strict=True)
    return tuple(sorted((Effect(n, float(m), float(s)) for n, m, s in rows), key=lambda e: -e.mu_star))


def sobol(names: Sequence[str], model: Model, samples: int, seed: int) -> tuple[Share, ...]:
    """Shares of the variance by falling total; samples · (d + 2) runs, `samples` best a power of two.

    Raises:
        UserError: without SALib, or where a run is refused.
    """
    problem = _problem(names)
    sampler = cast("_Sampler", _salib("SALib.sample.sobol"))
    analysis = cast("_Sobol", _salib("SALib.analyze.sobol"))
    u = sampler.sample(problem, samples, calc_second_order=False, seed=seed)
    y = _all_run(model(u))
    found = analysis.analyze(problem, y, calc_second_order=False, seed=seed)
    columns = (found[name] for name in ("S1", "S1_conf", "ST", "ST_conf"))
    rows = zip(names, *columns, strict=True)
    shares = [Share(name, float(a), float(b), float(c), float(d)) for name, a, b, c, d in rows]
    return tuple(sorted(shares, key=lambda share: -share.total))


def _problem(names: Sequence[str]) -> dict[str, object]:
    return {"num_vars": len(names), "names": list(names), "bounds": [[0.0, 1.0]] * len(names)}


def _all_run(y: Floats) -> Floats:
    refused = int(np.count_nonzero(~np.isfinite(y)))
    if refused:
        raise UserError(
            f"{refused} of {len(y)} runs of the sensitivity study were refused, since their draw makes the "
            "layout impossible; narrow the ranges or choose a layout with more room"
        )
    return y


def _salib(module: str) -> object:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise UserError(
            "sensitivity needs SALib, which is not installed (pip install 'bandwall[stats]'); "
            "--method tornado works without it"
        ) from None

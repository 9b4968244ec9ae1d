"""From a user's own measurements to a chip's profile.

Each class of operators is calibrated by itself: its few free parameters (sim.calibration.classes) take their
most probable values given the rows and the chip's present figures as priors (sim.calibration.posterior).
Everything else keeps what the profile says. The result is a profile like any other, whose fitted figures have
the basis `measured`, the number of rows and the remaining error in their source.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np

from sim.calibration.calibrated import CalibratedClass, Calibration
from sim.calibration.classes import CLASSES, OperatorClass
from sim.calibration.microbenchmark import measure_device
from sim.calibration.posterior import Prior, most_probable
from sim.errors import UserError
from sim.figures import Figure, dump_figure
from sim.hardware import ChipProfile, load_chip, read_chip
from sim.hardware.chip import Chip, KernelFamily
from sim.operators.quantities import Array
from sim.scenario.yaml_text import yaml_text
from sim.timing.measured import PRICES
from sim.timing.measured.bench import ARITHMETIC, Bench
from sim.timing.measured.parameters import names_chip
from sim.timing.measured.rows import Rows
from sim.timing.measured.scope import in_scope
from sim.timing.measured.tables import Measured, read_tables

MICROSECOND = 1e-6
INSENSITIVE = 1e-3
"""A row whose time changes by less than this where a parameter changes by a fifth says nothing of it."""
NARROWEST = 1.05
"""A fitted figure's range is at least 5 % to either side: what the form errs by does not average out."""


def calibrate(tables: Sequence[str | Path], chip: str) -> tuple[Calibration, str]:
    """The calibration of a chip from measured tables, and its profile as YAML text.

    Args:
        chip: a shipped chip or a profile's file; the tables' rows of other chips are left out.
    Raises:
        UserError: for a table or profile that cannot be read, or where no row is the chip's.
    """
    return calibrate_rows([table for named in tables for table in read_tables(named)], chip)


def calibrate_rows(tables: Sequence[Measured], chip: str) -> tuple[Calibration, str]:
    """The same from rows that were read or measured already."""
    tree = read_chip(chip)
    resolved, _ = load_chip(chip)
    profile = ChipProfile.model_validate(tree)
    skipped: Counter[str] = Counter()
    by_table: dict[str, list[Rows]] = {}
    for measured in tables:
        if measured.outliers:
            skipped["flagged as an outlier of its series"] += measured.outliers
        rows = _of_chip(measured.rows, resolved, skipped)
        if rows.n:
            by_table.setdefault(rows.table, []).append(rows)
    found = [
        _calibrated(c, rows, resolved, profile)
        for c in CLASSES.values()
        if (rows := [r for table in c.tables for r in by_table.get(table, [])])
    ]
    if not found:
        named = sorted({n for measured in tables for n in np.unique(measured.rows.words("chip")).tolist()})
        raise UserError(
            f"no row of these tables can calibrate {resolved.name} (chips they name: {', '.join(named)})"
        )
    kernels = dict(cast("Mapping[str, object]", tree["kernels"]))
    for calibrated in found:
        for name, figure in calibrated.figures.items():
            _write(kernels, name, figure)
    return Calibration(resolved.name, tuple(found), dict(skipped)), yaml_text({**tree, "kernels": kernels})


def _of_chip(rows: Rows, chip: Chip, skipped: Counter[str]) -> Rows:
    """The rows of this chip that the model covers; the others are counted."""
    if rows.table not in PRICES:
        skipped[f"{rows.table}: not an operator of one chip"] += rows.n
        return rows.at(np.zeros(rows.n, np.bool_))
    names = rows.words("chip")
    mine = np.isin(names, [n for n in np.unique(names).tolist() if names_chip(n, chip.name)])
    types = [t for t, (_, _, arithmetic) in ARITHMETIC.items() if arithmetic in chip.compute.peak]
    mine &= np.isin(rows.words("dtype"), types)
    if left_out := int(rows.n - mine.sum()):
        skipped[f"{rows.table}: of another chip or type"] += left_out
    kept, outside = in_scope(rows.at(mine))
    skipped.update(outside)
    return kept


def _calibrated(
    c: OperatorClass, tables: Sequence[Rows], chip: Chip, profile: ChipProfile
) -> CalibratedClass:
    measured = np.concatenate([MICROSECOND * rows.numbers("latency_us") for rows in tables])

    def residuals(names: Sequence[str], values: Array) -> Array:
        kernels = _with(chip.kernels, dict(zip(names, values.tolist(), strict=True)))
        bench = Bench(chip, kernels)
        simulated = np.concatenate([PRICES[rows.table](rows, bench) for rows in tables])
        return np.log(simulated / measured)

    def tells_of(name: str) -> bool:
        value = _figure(profile, name).value
        moved = residuals([name], np.array([0.8 * value])) - residuals([name], np.array([value]))
        return bool((np.abs(moved) > INSENSITIVE).any())

    names = [name for name in c.free(tables) if tells_of(name)]
    priors = {name: _figure(profile, name) for name in names}
    start = np.array([priors[name].value for name in names])
    fitted = most_probable(lambda x: residuals(names, x), [_prior(priors[name], name) for name in names])
    before, after = (float(100.0 * np.abs(np.expm1(residuals(names, x))).mean()) for x in (start, fitted))
    fit = f"mean error {after:.0f} %, {before:.0f} % with the prior"
    source = f"{len(measured)} measurements of {'/'.join(c.tables)}, {fit}"
    figures = {
        name: _fitted(value, priors[name], name, len(measured), source)
        for name, value in zip(names, fitted.tolist(), strict=True)
    }
    return CalibratedClass(c.name, len(measured), before, after, figures, priors)


def _prior(figure: Figure, name: str) -> Prior:
    low, high = _range(figure)
    return Prior(figure.value, low, high, _most(name))


def _fitted(value: float, prior: Figure, name: str, n: int, source: str) -> Figure:
    """The fitted figure; its range narrows from the prior's as measurements become many, to `NARROWEST`."""
    low, high = _range(prior)
    width = max((high / low) ** (0.5 / (1.0 + n / 8.0) ** 0.5), NARROWEST)
    value, least, top = (_short(x) for x in (value, value / width, min(value * width, _most(name))))
    return replace(prior, value=value, low=least, high=max(top, value), basis="measured", source=source)


def _short(value: float) -> float:
    """Four significant digits."""
    return float(f"{value:.4g}")


def _range(figure: Figure) -> tuple[float, float]:
    if figure.low is None or figure.high is None:
        return figure.value, figure.value
    return max(figure.low, 0.2 * figure.value), figure.high


def _most(name: str) -> float:
    """1 for shares of a peak."""
    return 1.0 if name.partition(".")[0].endswith(("_mma", "_hbm")) else float("inf")


def _figure(profile: ChipProfile, name: str) -> Figure:
    field, _, dtype = name.partition(".")
    held = cast("Figure | Mapping[str, Figure]", getattr(profile.kernels, field))
    if isinstance(held, Figure):
        return held
    return held[dtype] if dtype in held else held["default"]


def _with(kernels: KernelFamily, values: Mapping[str, float]) -> KernelFamily:
    changed: dict[str, object] = {}
    for name, value in values.items():
        field, _, dtype = name.partition(".")
        old = cast("object", changed.get(field, getattr(kernels, field)))
        changed[field] = {**cast("Mapping[str, float]", old), dtype: value} if dtype else value
    return replace(kernels, **changed)  # pyright: ignore[reportArgumentType]


def _write(kernels: dict[str, object], name: str, figure: Figure) -> None:
    field, _, dtype = name.partition(".")
    dumped = dump_figure(figure)
    kernels[field] = {**cast("Mapping[str, object]", kernels[field]), dtype: dumped} if dtype else dumped


def calibrate_device(chip: str) -> tuple[Calibration, str]:
    """The calibration of a chip from what PyTorch measures on the device it sees.

    Raises:
        UserError: for a profile that cannot be read, or without PyTorch.
    """
    return calibrate_rows(measure_device(load_chip(chip)[0].name), chip)

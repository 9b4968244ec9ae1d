"""The operator model against measured tables of single operators.

Each row is an operator with its shape, timed on one chip in one software stack. It is priced by the same
formulas that price a simulated step, under the conditions of the table's benchmark (sim.timing.residency,
sim.hardware.stacks), with the parameters the comparison may use.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path

import numpy as np

from sim.operators.quantities import Array
from sim.timing.measured import PRICES
from sim.timing.measured.bench import ARITHMETIC, Bench
from sim.timing.measured.parameters import Parameters, parameters
from sim.timing.measured.rows import Rows
from sim.timing.measured.scope import in_scope
from sim.timing.measured.tables import read_tables
from sim.validation.operators.bands import DrawnChip
from sim.validation.operators.report import Comparison, OperatorReport, report
from sim.validation.operators.steps import step_sums

MICROSECOND = 1e-6


def validate_operators(
    tables: Sequence[str | Path], *, parameters_name: str = "profile", every: int = 1, samples: int = 0
) -> OperatorReport:
    """Prices every row of the tables and compares.

    Args:
        tables: files, or tables of an installed package (sim.timing.measured.tables).
        parameters_name: which kernel parameters may be used (sim.timing.measured.parameters).
        every: take every n-th row only, and compose no steps of the few.
        samples: draws of every figure, for the share of rows within the model's P10 to P90; 0 for none.
    Raises:
        UserError: for a table that cannot be understood, unknown parameters, without pyarrow.
    """
    chosen = parameters(parameters_name)
    skipped: Counter[str] = Counter()
    compared: list[Comparison] = []
    whole: list[Rows] = []
    drawn = cache(partial(DrawnChip, chosen, samples)) if samples else None
    for measured in (table for named in tables for table in read_tables(named)):
        if measured.outliers:
            skipped["flagged as an outlier of its series"] += measured.outliers
        rows = measured.rows.at(np.arange(0, measured.rows.n, every))
        compared += compare(rows, measured.name, chosen, skipped, drawn)
        whole.append(measured.rows)
    steps = step_sums(whole, chosen) if every == 1 else []
    return report(chosen.name, chosen.text, compared, steps, skipped)


def compare(
    rows: Rows,
    source: str,
    chosen: Parameters,
    skipped: Counter[str],
    drawn: Callable[[str], DrawnChip] | None = None,
) -> list[Comparison]:
    """The rows of one table that can be compared, chip by chip; the others are counted in `skipped`."""
    price = PRICES.get(rows.table)
    if price is None:
        skipped[f"{rows.table}: links are compared by validate network"] += rows.n
        return []
    rows, left_out = in_scope(rows)
    skipped.update(left_out)
    return [
        found
        for (chip,), places in rows.alike("chip")
        if (found := _on_chip(str(chip), rows.at(places), source, price, chosen, skipped, drawn)) is not None
    ]


def _on_chip(
    chip: str,
    rows: Rows,
    source: str,
    price: Callable[[Rows, Bench], Array],
    chosen: Parameters,
    skipped: Counter[str],
    drawn: Callable[[str], DrawnChip] | None,
) -> Comparison | None:
    bench = chosen.bench(chip)
    if bench is None:
        skipped[f"no profile of a chip called {chip}"] += rows.n
        return None
    for dtype in np.unique(rows.words("dtype")).tolist():
        if dtype not in ARITHMETIC or ARITHMETIC[dtype][2] not in bench.chip.compute.peak:
            absent = rows.words("dtype") == dtype
            skipped[f"{bench.chip.name} has no arithmetic for {dtype}"] += int(absent.sum())
            rows = rows.at(~absent)
    simulated, measured = price(rows, bench), MICROSECOND * rows.numbers("latency_us")
    held = None if drawn is None else drawn(chip).holds(rows, price, measured)
    return Comparison(source, rows, _groups(rows, bench.chip.name), measured, simulated, held)


def _groups(rows: Rows, chip: str) -> np.ndarray[tuple[int, int], np.dtype[np.str_]]:
    """(operator, chip, dtype, stack) of each row; the type of a cache or of the projections after a slash."""
    dtype, cache = rows.words("dtype"), rows.words("kv_dtype")
    if rows.table == "mla_module":
        dtype = rows.words("gemm_dtype")
    names = np.where(cache == "", dtype, np.char.add(np.char.add(dtype, "/"), cache))
    operators = rows.words("op") if rows.table == "mla_module" else np.full(rows.n, rows.table)
    return np.stack([operators, np.full(rows.n, chip), names, rows.words("framework")], axis=1)

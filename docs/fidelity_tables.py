"""Fills the operator tables of docs/fidelity.md: `python docs/fidelity_tables.py FOLDER_OF_TABLES`.

Four ways to choose parameters: each chip's own profile; those of the H100 with the datasheet swapped; the
same calibrated on 24 rows of each group and scored on the others; the prior of an unmeasured chip.
"""

import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from sim.calibration import calibrate_rows
from sim.hardware import read_chip
from sim.scenario.yaml_text import yaml_text
from sim.timing.measured.scope import in_scope
from sim.timing.measured.tables import Measured, read_table
from sim.validation.operators import PRICES, OperatorReport, compare, parameters, validate_operators

TARGET = Path(__file__).parent / "fidelity.md"
BEGIN, END = "<!-- operators: begin -->", "<!-- operators: end -->"
LIGHT = 24
LIGHT_CHIPS = ("h200_sxm", "b200_sxm")
WORST = 15
Cell = tuple[str, str, str]
Errors = dict[Cell, list[float]]


def main(folder: Path) -> None:
    """Replaces what is between the marks."""
    tables = sorted(folder.glob("*.parquet"))
    reports = {
        name: validate_operators(tables, parameters_name=name) for name in ("profile", "family:h100", "prior")
    }
    columns = {name: cells(report) for name, report in reports.items()}
    columns["light"] = light(tables)
    text = TARGET.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    written = f"{BEGIN}\n{by_cell(columns)}\n{worst(reports['profile'])}{END}"
    TARGET.write_text(before + written + after, encoding="utf-8")


def cells(report: OperatorReport) -> Errors:
    """Signed errors by operator, type class and chip."""
    found: Errors = defaultdict(list)
    for comparison in report.compared:
        for (operator, chip, dtype, _), error in zip(
            comparison.groups.tolist(), comparison.error.tolist(), strict=True
        ):
            found[operator, dtype.partition("/")[0] if operator in ("gemm", "moe") else "", chip].append(
                error
            )
    return found


def light(tables: Iterable[Path]) -> Errors:
    """H100's parameters on another's datasheet, calibrated on 24 rows of a group, scored on the others."""
    found: Errors = defaultdict(list)
    for path in tables:
        measured = read_table(path).rows
        if measured.table not in PRICES or measured.table in ("mla_bmm", "mla_module"):
            continue
        rows, _ = in_scope(measured)
        for (chip, dtype, *_), places in rows.alike("chip", "dtype", "kv_dtype", "framework"):
            if chip not in LIGHT_CHIPS or len(places) < LIGHT + 4:
                continue
            drawn = np.random.default_rng([len(places), LIGHT]).permutation(places)
            name = str(chip).removesuffix("_sxm")
            with tempfile.TemporaryDirectory() as scratch:
                swapped, fitted = Path(scratch) / "swapped.yaml", Path(scratch) / "fitted.yaml"
                swapped.write_text(yaml_text(read_chip(name) | {"kernels": read_chip("h100")["kernels"]}))
                sample = Measured(rows.at(drawn[:LIGHT]), 0, path.name)
                fitted.write_text(calibrate_rows([sample], str(swapped))[1])
                chosen = parameters(str(fitted))
                for comparison in compare(rows.at(drawn[LIGHT:]), path.name, chosen, defaultdict(int)):
                    kind = str(dtype) if rows.table in ("gemm", "moe") else ""
                    found[rows.table, kind, name] += comparison.error.tolist()
    return found


def by_cell(columns: dict[str, Errors]) -> str:
    """One line per operator, type and chip: mean error and bias with each choice of parameters."""
    names = {
        "profile": "profile", "family:h100": "H100's, datasheet swapped", "light": f"the same, {LIGHT} rows",
        "prior": "prior",
    }  # fmt: skip
    lines = [
        "| operator | type | chip | n | " + " | ".join(names.values()) + " |",
        "|---|---|---|---|" + "---|" * len(names),
    ]
    for cell in sorted(columns["profile"]):
        shown = [worded(columns[name].get(cell, [])) for name in names]
        lines.append(f"| {' | '.join(cell)} | {len(columns['profile'][cell]):,} | {' | '.join(shown)} |")
    return "\n".join(lines) + "\n"


def worst(report: OperatorReport) -> str:
    """The worst groups of at least ten rows."""
    large = [group for group in report.groups if group.n >= 10][:WORST]
    lines = [
        "\nThe worst groups with each chip's own profile:\n",
        "| operator | chip | type | stack | n | mean error % | median | 90 % | bias |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for group in large:
        numbers = f"{group.mape:.0f} | {group.median_ape:.0f} | {group.p90_ape:.0f} | {group.bias:+.0f}"
        lines.append(f"| {' | '.join(group.keys.values())} | {group.n:,} | {numbers} |")
    return "\n".join(lines) + "\n"


def worded(errors: list[float]) -> str:
    """'8.1 (−2)': mean error and bias, percent."""
    return f"{np.mean(np.abs(errors)):.1f} ({np.mean(errors):+.0f})" if errors else "–"


if __name__ == "__main__":
    main(Path(sys.argv[1]))

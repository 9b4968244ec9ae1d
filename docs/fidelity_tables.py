"""Writes docs/fidelity.md's tables and charts: `python docs/fidelity_tables.py FOLDER_OF_TABLES`.

Everything between a pair of marks, and the two drawings, come from what `bandwall validate operators --json`
holds under four choices of parameters: each chip's own profile; those of the H100 with the datasheet swapped;
the same calibrated on 24 rows of each group; the prior of an unmeasured chip.
"""

import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from fidelity_chart import drawing
from fidelity_goals import CELLS, LIGHT, PEERS, REGIMES

from sim.calibration import calibrate_rows
from sim.hardware import read_chip
from sim.scenario.yaml_text import yaml_text
from sim.timing.measured.bench import Bench
from sim.timing.measured.parameters import parameters
from sim.timing.measured.ratios import Ratios
from sim.timing.measured.rows import Rows
from sim.timing.measured.scope import in_scope
from sim.timing.measured.shapes import SIZES, VARIANT
from sim.timing.measured.tables import Measured, read_table
from sim.validation.operators import PRICES, OperatorReport, compare, validate_operators
from sim.validation.operators.steps import StepSum, step_agreement, step_sums

DOCS = Path(__file__).parent
TARGET = DOCS / "fidelity.md"
LIGHT_CHIPS = ("h200_sxm", "b200_sxm")
WORST = 15
HELD_OUT = 150
SPARSE = 64
"""Rows of one operator, type and stack in the samples of H200 and B200."""
CHOICES = {
    "profile": "profile",
    "family:h100": "H100's, datasheet swapped",
    "light": f"the same, {LIGHT} rows",
    "prior": "prior",
}
Errors = dict[tuple[str, str, str, str], list[float]]
"""Signed errors, percent, by operator, type (of products and experts), chip and stack."""


def main(folder: Path) -> None:
    """Replaces what is between the marks, and draws."""
    paths = sorted(folder.glob("*.parquet"))
    tables = [read_table(path).rows for path in paths]
    reports = {name: validate_operators(paths, parameters_name=name) for name in CHOICES if name != "light"}
    errors = {name: cells(report) for name, report in reports.items()}
    steps = {name: list(report.steps) for name, report in reports.items()}
    errors["light"], steps["light"] = light(tables)
    between = held_out(tables)
    sections = {
        "goals": goals(errors, steps),
        "operators": by_cell(errors),
        "worst": worst(reports["profile"]),
        "steps": step_table(steps) + sparse_note(tables, steps["profile"]),
        "between": between_table(between),
        "peers": peers(errors, between),
    }
    text = TARGET.read_text(encoding="utf-8")
    for name, written in sections.items():
        begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}\n{written}{end}{rest.partition(end)[2]}"
    TARGET.write_text(text, encoding="utf-8")
    names = ("profile", "family:h100", "prior")
    by_operator = {
        f"{operator} {chip}": {CHOICES[n]: mean(select(errors[n], operator, chip=(chip,))) for n in names}
        for operator, chip in sorted({(cell[0], cell[2]) for cell in errors["profile"]})
    }
    (DOCS / "fidelity-operators.svg").write_text(drawing("Mean error of operators, %", by_operator))
    by_chip = {
        f"{a.keys['chip']} {a.keys['phase']}": {
            CHOICES[n]: next(
                (b.mape for b in step_agreement(steps[n], ("chip", "phase")) if b.keys == a.keys), None
            )
            for n in CHOICES
        }
        for a in sorted(step_agreement(steps["profile"], ("chip", "phase")), key=lambda a: str(a.keys))
    }
    (DOCS / "fidelity-steps.svg").write_text(drawing("Mean error of the sum over a step, %", by_chip))


def cells(report: OperatorReport) -> Errors:
    """Errors by operator, type, chip and stack."""
    found: Errors = defaultdict(list)
    for comparison in report.compared:
        for (operator, chip, dtype, stack), error in zip(
            comparison.groups.tolist(), comparison.error.tolist(), strict=True
        ):
            found[operator, _kind(operator, dtype), chip, stack].append(error)
    return found


def _kind(operator: str, dtype: str) -> str:
    return dtype.partition("/")[0] if operator in ("gemm", "moe") else ""


def light(tables: Iterable[Rows]) -> tuple[Errors, list[StepSum]]:
    """H100's parameters on another's datasheet, calibrated on 24 rows of each type of one stack and scored on
    the others; and the steps of that stack with them."""
    stacks: defaultdict[tuple[str, str], list[Rows]] = defaultdict(list)
    for rows in tables:
        for (chip, stack), places in rows.alike("chip", "framework"):
            if chip in LIGHT_CHIPS and rows.table in PRICES and rows.table not in ("mla_bmm", "mla_module"):
                stacks[str(chip), str(stack)].append(rows.at(places))
    found: Errors = defaultdict(list)
    steps: list[StepSum] = []
    for (chip, stack), own in stacks.items():
        samples, others = zip(*(part for rows in own for part in _drawn(in_scope(rows)[0])), strict=True)
        name = chip.removesuffix("_sxm")
        with tempfile.TemporaryDirectory() as scratch:
            swapped, fitted = Path(scratch) / "swapped.yaml", Path(scratch) / "fitted.yaml"
            swapped.write_text(yaml_text(read_chip(name) | {"kernels": read_chip("h100")["kernels"]}))
            sample = [Measured(rows, 0, "sample") for rows in samples]
            fitted.write_text(calibrate_rows(sample, str(swapped))[1])
            chosen = parameters(str(fitted))
            for rows in others:
                for comparison in compare(rows, "sample", chosen, defaultdict(int)):
                    for (operator, _, dtype, _), error in zip(
                        comparison.groups.tolist(), comparison.error.tolist(), strict=True
                    ):
                        found[operator, _kind(operator, dtype), name, stack].append(error)
            steps += step_sums(own, chosen)
    return found, steps


def _drawn(rows: Rows) -> Iterable[tuple[Rows, Rows]]:
    """24 rows of each type, and the others of it."""
    for _, places in rows.alike("dtype", "kv_dtype"):
        if len(places) >= LIGHT + 4:
            drawn = np.random.default_rng([len(places), LIGHT]).permutation(places)
            yield rows.at(drawn[:LIGHT]), rows.at(drawn[LIGHT:])


def select(
    errors: Errors, operator: str, dtype: str = "", chip: Sequence[str] = (), stack: str = ""
) -> list[float]:
    """Errors of an operator, of one type, some chips and one stack where they are named."""
    return [
        error
        for (op, kind, of, by), many in errors.items()
        if op == operator and dtype in ("", kind) and (not chip or of in chip) and stack in ("", by)
        for error in many
    ]


def goals(errors: Mapping[str, Errors], steps: Mapping[str, list[StepSum]]) -> str:
    """Reached beside what is asked: goal and, in brackets, least."""
    lines = [
        "| mean error, % | " + " | ".join(title for title, _, _ in REGIMES.values()) + " |",
        "|---|" + "---|" * len(REGIMES),
    ]
    for cell in CELLS:
        shown: list[str] = []
        for regime, (_, choice, chips) in REGIMES.items():
            if regime not in cell.asked:
                shown.append("–")
                continue
            if cell.operator == "step":
                found = [one.error for one in steps[choice] if one.keys["chip"] in chips]
            else:
                stack = cell.dtype if cell.operator == "moe" else ""
                dtype = "" if stack else cell.dtype
                found = select(errors[choice], cell.operator, dtype, chips, stack)
            goal, least = cell.asked[regime]
            reached = mean(found)
            verdict = "" if reached is None or reached <= goal else " *" if reached <= least else " **"
            shown.append(f"{worded(found)} of {goal:g} ({least:g}){verdict}")
        lines.append(f"| {cell.text} | {' | '.join(shown)} |")
    return "\n".join([*lines, "", "\\* the least is reached, the goal is not; \\*\\* neither is.", ""])


def by_cell(errors: Mapping[str, Errors]) -> str:
    """One line per operator, type and chip: mean error and bias with each choice of parameters."""
    lines = [
        "| operator | type | chip | n | " + " | ".join(CHOICES.values()) + " |",
        "|---|---|---|---|" + "---|" * len(CHOICES),
    ]
    for operator, dtype, chip in sorted({cell[:3] for cell in errors["profile"]}):
        of = {name: select(errors[name], operator, dtype, (chip,)) for name in CHOICES}
        shown = " | ".join(worded(found) for found in of.values())
        lines.append(f"| {operator} | {dtype} | {chip} | {len(of['profile']):,} | {shown} |")
    return "\n".join(lines) + "\n"


def worst(report: OperatorReport) -> str:
    """The worst groups of at least ten rows."""
    lines = [
        "| operator | chip | type | stack | n | mean error % | median | 90 % | bias |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for group in [group for group in report.groups if group.n >= 10][:WORST]:
        numbers = f"{group.mape:.0f} | {group.median_ape:.0f} | {group.p90_ape:.0f} | {group.bias:+.0f}"
        lines.append(f"| {' | '.join(group.keys.values())} | {group.n:,} | {numbers} |")
    return "\n".join(lines) + "\n"


def step_table(steps: Mapping[str, list[StepSum]]) -> str:
    """Mean error and bias of steps by chip, model, type and stack, with each choice of parameters."""
    keys = ("chip", "model", "dtype", "stack")
    groups: list[dict[str, str]] = [
        {"chip": chip} for chip in sorted({one.keys["chip"] for one in steps["profile"]})
    ]
    groups += [
        dict(a.keys) for a in sorted(step_agreement(steps["profile"], keys), key=lambda a: str(a.keys))
    ]
    lines = [
        "| chip | model | type | stack | n | covered % | " + " | ".join(CHOICES.values()) + " |",
        "|---|---|---|---|---|---|" + "---|" * len(CHOICES),
    ]
    for group in groups:
        of = {n: [s for s in steps[n] if all(s.keys[k] == v for k, v in group.items())] for n in CHOICES}
        covered = 100 * np.mean([one.covered for one in of["profile"]])
        named = " | ".join(group.get(key, "**all**") for key in keys)
        shown = " | ".join(worded([one.error for one in found]) for found in of.values())
        lines.append(f"| {named} | {len(of['profile'])} | {covered:.0f} | {shown} |")
    return "\n".join(lines) + "\n"


def sparse_note(tables: Sequence[Rows], whole: Sequence[StepSum]) -> str:
    """What a sample as thin as H200's and B200's would say of H100, whose whole tables are known."""
    rng = np.random.default_rng(SPARSE)
    thin: list[Rows] = []
    for rows in tables:
        for key, places in rows.alike("chip", "framework", "dtype", "kv_dtype"):
            if key[0] == "h100_sxm":
                thin.append(rows.at(np.sort(rng.permutation(places)[:SPARSE])))
    known = {one.id: one for one in whole}
    found = [one for one in step_sums(thin, parameters("profile")) if one.id in known]
    seen, true = ([one.error for one in some] for some in (found, [known[one.id] for one in found]))
    return (
        f"\nThe measured side of H200 and B200 is interpolated from {SPARSE} rows of each type and stack. "
        f"From as thin a sample H100's {len(found)} steps that it covers would show {worded(seen)}; their "
        f"whole tables show {worded(true)}.\n"
    )


def held_out(tables: Iterable[Rows]) -> dict[str, list[tuple[str, float, float, float]]]:
    """By operator: (stack and type, median and 90 % error of the tables, mean of the model) on H100 rows
    whose sizes, but for their extent, were left out of the table."""
    found: defaultdict[str, list[tuple[str, float, float, float]]] = defaultdict(list)
    for rows in tables:
        if rows.table not in SIZES:
            continue
        rows, _ = in_scope(rows)
        variant = VARIANT.get(rows.table)
        for key, places in rows.alike(
            "chip", "framework", "dtype", "kv_dtype", *([variant] if variant else [])
        ):
            bench = parameters("profile").bench(str(key[0]))
            if key[0] == "h100_sxm" and bench is not None and len(places) > 10 * HELD_OUT:
                found[rows.table].append((" ".join(map(str, key[1:])), *_left_out(rows.at(places), bench)))
    return found


def _left_out(rows: Rows, bench: Bench) -> tuple[float, float, float]:
    shapes = np.unique(np.stack(SIZES[rows.table](rows), axis=1), axis=0, return_inverse=True)[1].ravel()
    rng = np.random.default_rng(HELD_OUT)
    chosen = rng.permutation(shapes.max() + 1)[: max(1, (shapes.max() + 1) // 10)]
    out = np.isin(shapes, chosen)
    asked = rows.at(rng.permutation(np.flatnonzero(out))[: 4 * HELD_OUT])
    priced, measured = PRICES[rows.table](asked, bench), 1e-6 * asked.numbers("latency_us")
    table = np.abs(priced * Ratios(rows.at(~out), bench).at(asked).value / measured - 1)
    model = np.abs(priced / measured - 1)
    return 100 * float(np.median(table)), 100 * float(np.quantile(table, 0.9)), 100 * float(model.mean())


def between_table(found: Mapping[str, list[tuple[str, float, float, float]]]) -> str:
    """Medians over stacks and types."""
    lines = ["| operator | groups | median error % | 90 % | the model's mean |", "|---|---|---|---|---|"]
    for operator, groups in sorted(found.items()):
        middle = [float(np.median([group[i] for group in groups])) for i in (1, 2, 3)]
        lines.append(
            f"| {operator} | {len(groups)} | " + " | ".join(f"{value:.1f}" for value in middle) + " |"
        )
    return "\n".join(lines) + "\n"


def peers(errors: Mapping[str, Errors], found: Mapping[str, list[tuple[str, float, float, float]]]) -> str:
    """Published errors beside ours."""

    def middle(tables: Sequence[str], place: int) -> float:
        return float(np.median([group[place] for table in tables for group in found.get(table, [])]))

    attention = ("attn_prefill", "attn_decode", "mla_prefill", "mla_decode")
    ours = {
        "gemm": f"{middle(('gemm',), 1):.1f}, {middle(('gemm',), 2):.1f}",
        "attention": f"{middle(attention, 1):.1f}",
        "swapped": f"{mean(select(errors['family:h100'], 'gemm', 'bfloat16', ('b200',))):.1f}",
    }
    lines = ["| what | published | here |", "|---|---|---|"]
    return "\n".join(
        [*lines, *(f"| {what} | {his} | {own.format(**ours)} |" for what, his, own in PEERS), ""]
    )


def mean(errors: Sequence[float]) -> float | None:
    """Mean size."""
    return float(np.mean(np.abs(errors))) if errors else None


def worded(errors: Sequence[float]) -> str:
    """'8.1 (−2)': mean error and bias, percent."""
    return f"{np.mean(np.abs(errors)):.1f} ({np.mean(errors):+.0f})" if errors else "–"


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Fills the tables of docs/fidelity-serving.md: `python docs/serving_tables.py REPORT.json`.

`make validate` does it. REPORT.json is what `bandwall validate serving CASES.jsonl --json REPORT.json`
writes.
"""

import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sim.validation.serving.measures import measure
from sim.validation.serving.row import ServingRow
from sim.validation.serving.statistics import Cell, cell

TARGET = Path(__file__).parent / "fidelity-serving.md"
SHOWN = {"tpot": "TPOT", "ttft": "TTFT", "output_tps": "output tokens/s", "input_tps": "input tokens/s"}
CENTRE = ("mean", "p50")
GOOD = ("A", "B")
WORST = 15
LEAST_ROWS = 6
ASKED = {
    "TPOT, fixed concurrency": ("8, P90 25", "15, 40"),
    "output throughput, offline": ("8, P90 22", "15, 35"),
    "TTFT, low and middle load": ("15", "25"),
    "TTFT, near saturation": ("25", "40"),
    "recorded arrivals, mean TPOT": ("4", "8"),
    "recorded arrivals, mean TTFT": ("10", "15"),
    "recorded arrivals, P99 of TPOT and TTFT": ("15", "25"),
    "disaggregated and large EP, throughput": ("12", "20"),
}
"""Median |error| asked for, percent: the goal, and the least."""
Tree = Mapping[str, Any]


def main(report: Path) -> None:
    """Replaces what is between each pair of marks."""
    tree = json.loads(report.read_text(encoding="utf-8"))
    rows = centres(tree["rows"])
    parts = {
        "goals": goals(tree),
        **{side: by(rows, side) for side in ("category", "model", "gpu", "engine", "regime")},
        "worst": worst(rows),
        "skipped": skipped(tree),
    }
    text = TARGET.read_text(encoding="utf-8")
    for name, part in parts.items():
        begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}\n{part}\n{end}{rest.partition(end)[2]}"
    TARGET.write_text(text, encoding="utf-8")


def centres(rows: Iterable[Tree]) -> list[tuple[str, ServingRow]]:
    """(quantity, row) of every mean or median, one a case and quantity, of cases of quality A and B."""
    found: dict[tuple[str, str], ServingRow] = {}
    for row in rows:
        known = measure(row["metric"])
        if known is None or known.what not in SHOWN or known.statistic not in CENTRE:
            continue
        if row["quality"] in GOOD:
            unknown = {"label": "", "source": "", "configuration": row["id"], "group": ""}
            found.setdefault((row["id"], known.what), ServingRow(**row, **unknown))
    return [(what, row) for (_, what), row in found.items()]


def goals(tree: Tree) -> str:
    """The cells asked for by name, with what was asked."""
    lines = [
        "| | goal | least | n | median | 90 % of medians | P90 | bias | quality A: n, median |",
        "|---|---|---|---:|---:|---|---:|---:|---|",
    ]
    for goal in tree["goals"]:
        c, best = goal["cell"], goal["quality_a"]
        if c is None:
            continue
        asked = " | ".join(ASKED.get(goal["name"], ("–", "–")))
        low, high = c["median_interval"]
        lines.append(
            f"| {goal['name']} | {asked} | {c['n']} | {c['median_ape']:.1f} | {low:.0f} to {high:.0f} "
            f"| {c['p90_ape']:.0f} | {c['bias']:+.0f} | "
            + ("– |" if best is None else f"{best['n']}, {best['median_ape']:.1f} |")
        )
    ranking = tree["ranking"]
    lines.append(
        f"| ranking, right pairs % | 93 | 88 | {ranking['pairs']} | {100 * ranking['share']:.1f} | | | | |"
    )
    return "\n".join(lines)


def by(rows: Iterable[tuple[str, ServingRow]], side: str) -> str:
    """One line per category, model, …, the largest median first."""
    found: dict[str, dict[str, list[ServingRow]]] = defaultdict(lambda: defaultdict(list))
    for what, row in rows:
        found[getattr(row, side)][what].append(row)
    lines = [f"| {side} | " + " | ".join(SHOWN.values()) + " |", "|---|" + "---|" * len(SHOWN)]
    table = {key: {what: cell({}, group) for what, group in found[key].items()} for key in found}

    def largest(key: str) -> float:
        return max(one.median_ape for one in table[key].values())

    lines += [
        f"| {key} | " + " | ".join(worded(table[key].get(what)) for what in SHOWN) + " |"
        for key in sorted(table, key=largest, reverse=True)
    ]
    return "\n".join(lines)


def worded(one: Cell | None) -> str:
    """'9.5, −5 (396)': median |error|, bias, rows."""
    return "–" if one is None else f"{one.median_ape:.0f}, {one.bias:+.0f} ({one.n})"


def worst(rows: Iterable[tuple[str, ServingRow]]) -> str:
    """The groups of some size with the largest median."""
    found: dict[tuple[str, ...], list[ServingRow]] = defaultdict(list)
    for what, row in rows:
        found[SHOWN[what], row.category, row.model, row.gpu, row.engine].append(row)
    large = {key: cell({}, group) for key, group in found.items() if len(group) >= LEAST_ROWS}
    lines = [
        "| what | category | model | gpu | engine | n | median | 90 % of medians | bias |",
        "|---|---|---|---|---|---:|---:|---|---:|",
    ]
    for key in sorted(large, key=lambda key: -large[key].median_ape)[:WORST]:
        one = large[key]
        numbers = f"{one.median_ape:.0f} | {one.interval[0]:.0f} to {one.interval[1]:.0f} | {one.bias:+.0f}"
        lines.append(f"| {' | '.join(key)} | {one.n} | {numbers} |")
    return "\n".join(lines)


def skipped(tree: Tree) -> str:
    """Why cases did not run; layouts that are refused are one reason."""
    counts: Counter[str] = Counter()
    for entry in tree["skipped"]:
        counts[short(entry["reason"])] += entry["n"]
    lines = [
        f"{tree['ran']} of {tree['cases']} cases ran.\n",
        "| reason | cases |",
        "|---|---:|",
    ]
    return "\n".join([*lines, *(f"| {reason} | {n} |" for reason, n in counts.most_common())])


def short(reason: str) -> str:
    """A refusal without its numbers."""
    if "does not divide" in reason:
        return "refused: heads or experts not divisible by the stated layout"
    if "does not fit" in reason:
        return "refused: the stated layout does not hold the model"
    return reason


if __name__ == "__main__":
    main(Path(sys.argv[1]))

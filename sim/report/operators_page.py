"""The page of operators against silicon: simulated over measured times, and the errors by group."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sim.report.figure import MUTED, PALETTE, Chart, Json, axis, line, rounded
from sim.report.page import cards, page, panels, section, table
from sim.report.wording import number, text
from sim.validation.agreement import Agreement
from sim.validation.operators.report import KEYS, OperatorReport
from sim.validation.operators.steps import KEYS as STEP_KEYS
from sim.validation.operators.steps import step_agreement
from sim.version import __version__

POINTS = 600
"""Points of one chip in one chart: more show nothing more, and make the page heavy."""


def html_operators(report: OperatorReport) -> str:
    """One self-contained page: a chart per operator, errors by operator and by group, what was left out."""
    charts = [_chart(operator, report) for operator in sorted({a.keys["operator"] for a in report.overall})]
    left_out = [[reason, f"{n:,}"] for reason, n in report.skipped.items()]
    body = [
        "<h1>Operators against silicon</h1>",
        f'<p class="lead">Parameters: {text(report.provenance)}</p>',
        cards([_card(a) for a in report.overall]),
        section("Simulated against measured", panels(charts)),
        section("By group, worst first", _errors(report.groups, KEYS)),
        section("Sum over a step", _errors(step_agreement(report.steps), STEP_KEYS)) if report.steps else "",
        section("Left out", table(("reason", "rows"), left_out)) if left_out else "",
    ]
    meaning = "Error: (simulated − measured)/measured, in percent; bias is its mean."
    footer = f"bandwall {__version__}. {report.n:,} rows. {meaning}"
    return page("Operators against silicon · bandwall", body, charts, footer)


def _card(agreement: Agreement) -> tuple[str, str, str]:
    more = f"median {number(agreement.median_ape)} %, bias {agreement.bias:+.1f} %, {agreement.n:,} rows"
    return agreement.keys["operator"], f"{number(agreement.mape)} %", more


def _errors(groups: tuple[Agreement, ...], keys: Sequence[str]) -> str:
    rows = [
        [
            *(group.keys[key] for key in keys),
            f"{group.n:,}",
            *(number(error) for error in (group.mape, group.median_ape, group.p90_ape)),
            f"{group.bias:+.1f}",
        ]
        for group in groups
    ]
    return table((*keys, "n", "mean error %", "median", "90 %", "bias"), rows, words=len(keys))


def _chart(operator: str, report: OperatorReport) -> Chart:
    """Log-log, one colour per chip, with the line of equality."""
    points = _points(operator, report)
    times = np.concatenate([part for pair in points.values() for part in pair])
    ends = [float(times.min()), float(times.max())]
    traces: list[Json] = [
        line("equal", ends, ends, MUTED, line={"color": MUTED, "width": 1, "dash": "dot"}, hoverinfo="skip")
    ]
    for (chip, (measured, simulated)), colour in zip(points.items(), PALETTE, strict=False):
        traces.append({
            "type": "scattergl", "mode": "markers", "name": chip,
            "x": rounded(measured), "y": rounded(simulated),
            "marker": {"color": colour, "size": 4, "opacity": 0.5},
            "hovertemplate": "measured %{x:.4~g} µs, simulated %{y:.4~g} µs",
        })  # fmt: skip
    error = next(a for a in report.overall if a.keys["operator"] == operator)
    return Chart(
        operator,
        f"{operator}: {number(error.mape)} % mean error",
        traces,
        {"xaxis": axis("measured, µs", type="log"), "yaxis": axis("simulated, µs", type="log")},
        height=340,
    )


def _points(
    operator: str, report: OperatorReport
) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """(measured, simulated) microseconds by chip, evenly thinned."""
    found: defaultdict[str, list[NDArray[np.float64]]] = defaultdict(list)
    for comparison in report.compared:
        mine = comparison.groups[:, 0] == operator
        for chip in np.unique(comparison.groups[mine, 1]).tolist():
            at = mine & (comparison.groups[:, 1] == chip)
            found[chip].append(1e6 * np.stack([comparison.measured[at], comparison.simulated[at]]))
    thinned = {chip: np.concatenate(parts, axis=1) for chip, parts in found.items()}
    return {
        chip: (part[0, :: -(-part.shape[1] // POINTS)], part[1, :: -(-part.shape[1] // POINTS)])
        for chip, part in sorted(thinned.items())
    }

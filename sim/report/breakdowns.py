"""Charts of where time goes: by resource and operator for a run, by operator for one step."""

from collections.abc import Mapping, Sequence

from sim.metrics import RequestTime, TimeBreakdown
from sim.report.causes import cause_title, causes_chart
from sim.report.figure import INK, RESOURCE_COLOURS, RESOURCE_TITLES, Chart, Json, axis, rounded, stacked_bar
from sim.report.wording import percent, seconds
from sim.timing.attribution import CAUSES
from sim.timing.timer import Bound, StepBreakdown

NOTES = {
    "ttft_parts": "Queueing until the first step, then the steps up to the first token by cause.",
    "tpot_parts": "Decode steps by cause; prefill of others: what it adds to steps it shares with decodes.",
}

Split = Mapping[Bound, float]

MOST_BARS = 16


def run_breakdown(breakdown: TimeBreakdown) -> list[Chart]:
    """Replica time by resource, idle included, and busy time by operator."""
    if breakdown.bound_by is None:
        return []
    return [_by_resource(breakdown), _by_operator(breakdown)]


def _by_resource(breakdown: TimeBreakdown) -> Chart:
    shares = {cause: 100 * breakdown.busy * share for cause, share in breakdown.by_cause.items()}
    bound, share_of_busy = next(iter(breakdown.by_resource.items()))
    return causes_chart(
        "by_resource",
        f"{_sentence(RESOURCE_TITLES[bound])} takes {percent(share_of_busy)} of busy time; "
        f"the chips are busy {percent(breakdown.busy)} of the time",
        {"replica time": shares | {"idle": 100 * breakdown.idle}},
        "% of replica time",
        limit=100,
    )


def request_charts(spent: RequestTime) -> list[Chart]:
    """Mean TTFT and TPOT by cause, each on its own scale."""
    charts: list[Chart] = []
    for key, name, parts in (("ttft_parts", "TTFT", spent.ttft), ("tpot_parts", "TPOT", spent.tpot)):
        if parts is None:
            continue
        flat = parts.flat
        causes = {cause: 1e3 * flat[cause] for cause, *_ in spent.rows() if flat.get(cause)}
        first = max(causes, key=lambda cause: causes[cause])
        share = causes[first] / (1e3 * parts.mean) if parts.mean > 0 else 0.0
        charts.append(
            causes_chart(
                key,
                f"Mean {name}, {seconds(parts.mean)}: {cause_title(first)} {percent(share)}",
                {name: causes},
                "ms",
                note=NOTES[key],
            )
        )
    return charts


def _by_operator(breakdown: TimeBreakdown) -> Chart:
    shown, rest = breakdown.by_operator[:MOST_BARS], breakdown.by_operator[MOST_BARS:]
    labels = [operator.name for operator in shown]
    parts = [operator.parts for operator in shown]
    if rest:
        labels.append(f"{len(rest)} others")
        parts.append(_sum_of([operator.parts for operator in rest]))
    group, share = next(iter(breakdown.by_group.items()))
    return Chart(
        "by_operator",
        f"Operators: {group.replace('_', ' ')} {percent(share)} of busy time",
        _stacks(labels, parts, 100.0, " %"),
        _layout("share of busy time, %"),
        height=110 + 24 * len(labels),
        wide=True,
        note="Each bar is split by the resource its time goes to. With every operator at its speed of light, "
        f"the same work would take {percent(breakdown.light)} of this time.",
    )


def step_breakdown(step: StepBreakdown) -> Chart:
    """One step, operator by operator, each beside its own speed of light."""
    operators = sorted(step.operators, key=lambda operator: -operator.time)
    splits: list[Split] = [o.parts or {o.bound: o.time} for o in operators]
    lights = [1e6 * operator.light for operator in operators]
    shown = min(MOST_BARS, len(operators))
    labels, parts = [operator.name for operator in operators[:shown]], splits[:shown]
    if len(operators) > shown:
        labels.append(f"{len(operators) - shown} others")
        parts.append(_sum_of(splits[shown:]))
        lights = [*lights[:shown], sum(lights[shown:])]
    light: Json = {
        "type": "scatter", "mode": "markers", "name": "speed of light", "y": labels,
        "x": rounded(lights),
        "marker": {"symbol": "line-ns", "size": 14, "line": {"width": 2, "color": INK}},
        "hovertemplate": "%{y}: %{x:,.4~g} µs at the speed of light<extra></extra>",
    }  # fmt: skip
    first, whole = operators[0], seconds(step.total)
    return Chart(
        "step",
        f"{first.name} takes {percent(first.time / step.total)} of the step's {whole}",
        [*_stacks(labels, parts, 1e6, " µs"), light],
        _layout("time in the step, µs"),
        height=110 + 22 * len(labels),
        wide=True,
        note="Split by the resource the time goes to; the mark is the operator's own speed of light.",
    )


def _sum_of(splits: Sequence[Split]) -> Split:
    """The splits of several operators as one."""
    return {resource: sum(split.get(resource, 0.0) for split in splits) for resource in CAUSES}


def _stacks(labels: Sequence[str], parts: Sequence[Split], factor: float, unit: str) -> list[Json]:
    """A colour per resource that takes any time."""
    present: list[Bound] = [r for r in CAUSES if any(split.get(r, 0.0) > 0 for split in parts)]
    return [
        stacked_bar(
            RESOURCE_TITLES[resource],
            labels,
            [factor * split.get(resource, 0.0) for split in parts],
            RESOURCE_COLOURS[resource],
            f"%{{y}}, {RESOURCE_TITLES[resource]}: %{{x:,.4~g}}{unit}<extra></extra>",
        )
        for resource in present
    ]


def _layout(title: str) -> Json:
    return {
        "barmode": "stack",
        "xaxis": axis(title, rangemode="tozero"),
        "yaxis": axis("", autorange="reversed", showgrid=False),
    }


def _sentence(words: str) -> str:
    """The words with a capital at their start."""
    return words[:1].upper() + words[1:]

"""Chart of a chip's memory: what lies on each pipeline stage and what is left for the KV cache."""

from collections import defaultdict

from sim.deployment import MemoryMap
from sim.models.matrices import Kind
from sim.report.figure import MUTED, PALETTE, Chart, axis, stacked_bar
from sim.report.wording import number, scaled

KV_COLOUR, ACTIVATIONS, RESERVE, OUTSIDE = "#86b7a8", "#94a3b8", "#cbd5e1", "#eef1f4"


def memory_chart(memory: MemoryMap) -> Chart:
    """Stacked bytes per chip, one bar per pipeline stage."""
    stages = memory.stages
    labels = [f"stage {stage.stage} ({stage.layers} layers)" for stage in stages]
    kinds: defaultdict[Kind, float] = defaultdict(float)
    for stage in stages:
        for kind, size in stage.weights.items():
            kinds[kind] += size
    rows: list[tuple[str, list[float], str]] = [
        (
            f"{kind.replace('_', ' ')} weights",
            [stage.weights.get(kind, 0.0) for stage in stages],
            PALETTE[index % len(PALETTE)],
        )
        for index, kind in enumerate(sorted(kinds, key=lambda kind: -kinds[kind]))
    ]
    rows += [
        ("activations", [stage.activations for stage in stages], ACTIVATIONS),
        ("reserve", [stage.reserve for stage in stages], RESERVE),
        ("KV cache", [max(0.0, stage.free) for stage in stages], KV_COLOUR),
        ("not the engine's", [max(0.0, s.visible - max(s.usable, s.needed)) for s in stages], OUTSIDE),
    ]
    tightest = memory.tightest
    chart = Chart(
        "memory",
        f"Memory of a chip: {scaled(max(0.0, tightest.free), 'B')} are left for KV, "
        f"{number(memory.kv_tokens)} tokens per replica",
        [
            stacked_bar(
                name,
                labels,
                [size / 1e9 for size in sizes],
                colour,
                f"{name}: %{{x:,.4~g}} GB<extra></extra>",
            )
            for name, sizes, colour in rows
            if any(sizes)
        ],
        {
            "barmode": "stack",
            "xaxis": axis("GB (10⁹ B) of what the driver reports", rangemode="tozero"),
            "yaxis": axis("", autorange="reversed", showgrid=False, showticklabels=len(stages) > 1),
        },
        height=170 + 34 * len(stages),
        wide=True,
    )
    usable = stages[0].usable / 1e9
    chart.shapes.append({
        "type": "line", "x0": usable, "x1": usable, "y0": 0, "y1": 1, "yref": "paper",
        "line": {"color": MUTED, "width": 1.5, "dash": "dot"},
    })  # fmt: skip
    return chart

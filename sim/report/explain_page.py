"""The page of one explained step."""

from sim.deployment import arithmetic_type
from sim.report.breakdowns import step_breakdown
from sim.report.causes import cause_title, causes_chart
from sim.report.dram_use import dram_table
from sim.report.figure import RESOURCE_TITLES, Chart
from sim.report.memory_chart import memory_chart
from sim.report.page import cards, page, panels, section, table
from sim.report.provenance import assumptions_section, scenario_section
from sim.report.roofline_chart import roofline_chart
from sim.report.run_page import described
from sim.report.wording import number, percent, scaled, seconds, text
from sim.scenario.explanation import Explanation
from sim.timing.timer import StepBreakdown
from sim.version import __version__

COLUMNS = (
    "operator", "group", "bound by", "times", "time", "share", "FLOP", "HBM", "wire", "of speed of light",
    "priced by",
)  # fmt: skip


def html_explain(explanation: Explanation) -> str:
    """One self-contained page: the step's operators, their roofline, and what the prices rest on."""
    deployment, step = explanation.deployment, explanation.step
    precision, cluster = deployment.precision, deployment.cluster
    arithmetic = arithmetic_type(precision.weights, precision.activations)
    roofline = roofline_chart(step, cluster.chip, arithmetic)
    charts = [
        _causes(explanation),
        step_breakdown(step),
        *([roofline] if roofline is not None else []),
    ]
    memory = memory_chart(explanation.memory)
    name, where = deployment.model.title or deployment.model.name, cluster.title or cluster.name
    body = [
        f"<h1>One step of {text(name)} on {text(where)}</h1>",
        f'<p class="lead">{text(_batch(explanation))} · {text(described(deployment))} · '
        f"scenario {text(explanation.scenario.name)}</p>",
        cards(_cards(explanation)),
        section("Where the step's time goes", panels(charts)),
        section("Operators on the slowest chip", _operators(step)),
        *_dram(explanation),
        section("Memory", panels([memory])),
        assumptions_section(explanation.assumptions),
        scenario_section(explanation.scenario.resolved_text()),
    ]
    return page(
        f"One step of {name} on {where} · bandwall", body, [*charts, memory], f"bandwall {__version__}"
    )


def _causes(explanation: Explanation) -> Chart:
    shares = {cause: 100 * taken / explanation.step.total for cause, taken in explanation.attribution.items()}
    first = max(shares, key=lambda cause: shares[cause])
    return causes_chart(
        "causes",
        f"{cause_title(first)}: {percent(shares[first] / 100)} of the step",
        {"the step": shares},
        "% of the step",
        note="Along the critical path; the parts add up to the step.",
        limit=100,
    )


def _dram(explanation: Explanation) -> list[str]:
    if not explanation.dram_uses:
        return []
    return [section("What DRAM gives", dram_table(explanation))]


def _batch(explanation: Explanation) -> str:
    batch = explanation.step.batch
    chunks = "".join(f", a prefill chunk of {new:,} tokens after {past:,}" for new, past in batch.chunks)
    return f"{batch.decodes:,} decodes reading {explanation.context:,} tokens each{chunks}"


def _cards(explanation: Explanation) -> list[tuple[str, str, str]]:
    step = explanation.step
    return [
        (
            "Step time",
            seconds(step.total),
            f"{percent(step.serial / step.total)} is the sum of operator bounds",
        ),
        (
            "Busiest resource alone",
            seconds(step.light),
            f"{percent(step.light / step.total)} of the step: the speed of light",
        ),
        (
            "Per user",
            number(explanation.tokens_per_s_per_user, "tokens/s"),
            "output of one decoding sequence",
        ),
        ("Per chip", number(explanation.tokens_per_s_per_chip, "tokens/s"), "output of a chip"),
        ("MFU · MBU", f"{percent(explanation.mfu)} · {percent(explanation.mbu)}", "of the datasheet peaks"),
    ]


def _operators(step: StepBreakdown) -> str:
    rows = [
        [
            operator.name,
            operator.group,
            RESOURCE_TITLES[operator.bound],
            number(operator.count),
            seconds(operator.time),
            percent(operator.time / step.total),
            scaled(operator.flops, "FLOP"),
            scaled(operator.hbm_bytes, "B"),
            scaled(operator.wire_bytes, "B"),
            percent(operator.light / operator.time) if operator.time else "–",
            operator.source,
        ]
        for operator in sorted(step.operators, key=lambda o: -o.time)
    ]
    return table(COLUMNS, rows, words=3)

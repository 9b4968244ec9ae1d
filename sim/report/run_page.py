"""The page of a run."""

from collections.abc import Mapping

from sim.deployment import Deployment
from sim.metrics import SloSpec, Summary
from sim.planning.uncertainty.spread import Spread
from sim.report.breakdowns import request_charts, run_breakdown
from sim.report.distributions import distributions
from sim.report.figure import RESOURCE_TITLES
from sim.report.memory_chart import memory_chart
from sim.report.over_time import over_time
from sim.report.page import cards, notes, page, panels, section, table
from sim.report.provenance import assumptions_section, scenario_section
from sim.report.spread_charts import deciding, draw_bands, spread_chart
from sim.report.wording import ABSENT, milliseconds, number, percent, seconds, text
from sim.scenario.simulation import Outcome

LATENCIES = (
    ("ttft", "TTFT", "first token − arrival"),
    ("tpot", "TPOT", "(finish − first token) / (output tokens − 1)"),
    ("itl", "ITL", "each gap between tokens"),
    ("e2el", "E2EL", "finish − arrival"),
)
KINDS = ("mean", "p50", "p90", "p95", "p99")


def html_report(outcome: Outcome, spread: Spread | None = None) -> str:
    """One self-contained page: what came out, when, what limited it, and what it rests on.

    Args:
        spread: of `sim.uncertainty`; its bands are drawn on the charts.
    """
    summary, result, slo = outcome.summary, outcome.result, outcome.scenario.spec.slo
    time_charts = over_time(result, summary) if result.duration > 0 else []
    latency_charts = distributions(result, slo)
    breakdown = run_breakdown(summary.breakdown) if summary.breakdown is not None else []
    requests = request_charts(summary.request_time) if summary.request_time is not None else []
    memory = memory_chart(outcome.memory)
    sure = [] if spread is None else [spread_chart(spread, summary.values)]
    if spread is not None:
        draw_bands([*time_charts, *latency_charts, *requests, *breakdown], spread)
    name = outcome.deployment.model.title or outcome.deployment.model.name
    where = outcome.deployment.cluster.title or outcome.deployment.cluster.name
    body = [
        f"<h1>{text(name)} on {text(where)}</h1>",
        f'<p class="lead">{text(described(outcome.deployment))} · scenario {text(outcome.scenario.name)}, '
        f"fidelity {text(outcome.scenario.spec.fidelity)}</p>",
        notes(summary.notes),
        cards(_cards(summary, slo)),
        "" if spread is None else section("How sure it is", panels(sure), deciding(spread)),
        section("Latency", _latency_table(summary, slo), panels(latency_charts, "three"), panels(requests)),
        section("By client", _client_table(summary)) if summary.clients else "",
        section("Over time", panels(time_charts)) if time_charts else "",
        section("Where the time goes", panels(breakdown)) if breakdown else "",
        section("Memory", panels([memory])),
        assumptions_section(summary.assumptions),
        scenario_section(outcome.scenario.resolved_text()),
    ]
    charts = [*sure, *latency_charts, *requests, *time_charts, *breakdown, memory]
    version = summary.values["version"]
    return page(f"{name} on {where} · bandwall", body, charts, f"bandwall {version}. {_definitions()}")


def described(deployment: Deployment) -> str:
    """The layout in words."""
    parallel, precision = deployment.parallel, deployment.precision
    sizes = parallel.sizes
    chips = f"{parallel.chips} {deployment.cluster.chip.title or deployment.cluster.chip.name}"
    return (
        f"{deployment.replicas} × {chips}{' (' + ', '.join(sizes) + ')' if sizes else ''} · "
        f"{precision.weights} weights, {precision.activations} activations, {precision.kv_cache} KV cache"
    )


def _cards(summary: Summary, slo: SloSpec | None) -> list[tuple[str, str, str]]:
    values = summary.values
    per_chip = number(values["tokens_per_s_per_chip"])
    return [
        (
            "Output throughput",
            number(values["output_throughput"], "tokens/s"),
            f"{per_chip} per chip, {number(values['tokens_per_s_per_user'])} per user",
        ),
        (
            "Requests completed",
            number(values["request_throughput"], "/s"),
            f"{number(values['completed'])} of {number(values['num_prompts'])}",
        ),
        _slo_card(values, slo),
        (
            "TTFT · TPOT, 99 %",
            f"{milliseconds(values['p99_ttft_ms'])} · {milliseconds(values['p99_tpot_ms'])}",
            "steady" if summary.steady else "not steady: depends on the run's length",
        ),
        _bound_card(summary),
        (
            "Cost of 1M output tokens",
            number(values["usd_per_million_output_tokens"], "USD"),
            f"{number(values['joules_per_output_token'], 'J')} per output token",
        ),
        (
            "Power, mean",
            number(values["mean_kw"], "kW"),
            f"{number(values['peak_kw'], 'kW')} at most; a chip in decodes "
            f"{number(values['decode_power_per_chip_w'], 'W')}, "
            f"with prompts {number(values['prefill_power_per_chip_w'], 'W')}",
        ),
        (
            "KV cache at its peak",
            percent(values["kv_peak"]),
            f"{number(values['preemptions'])} preemptions, "
            f"{percent(values['cached_token_share'])} of prompt tokens cached",
        ),
        ("MFU · MBU", f"{percent(values['mfu'])} · {percent(values['mbu'])}", "of the datasheet peaks"),
    ]


def _slo_card(values: Mapping[str, object], slo: SloSpec | None) -> tuple[str, str, str]:
    if slo is None:
        return "SLO", ABSENT, "none asked for"
    bounds = {"TTFT": slo.ttft, "TPOT": slo.tpot, "E2EL": slo.e2el}
    asked = ", ".join(f"{name} {seconds(bound)}" for name, bound in bounds.items() if bound is not None)
    verdict = "SLO met" if values["meets_slo"] else "SLO missed"
    return verdict, percent(values["slo_attainment"]), f"need {percent(slo.attainment)} within {asked}"


def _client_table(summary: Summary) -> str:
    """Each kind of users apart."""
    rows: list[list[str]] = []
    for name, values in summary.clients.items():
        row = [name, number(values["num_prompts"]), number(values["request_throughput"])]
        row += [
            milliseconds(values[f"{kind}_{what}_ms"])
            for what in ("ttft", "tpot", "e2el")
            for kind in ("p50", "p99")
        ]
        rows.append([*row, percent(values["slo_attainment"])])
    heads = ["client", "requests", "/s", "TTFT 50 %", "99 %", "TPOT 50 %", "99 %", "E2EL 50 %", "99 %"]
    return table([*heads, "SLO attained"], rows)


def _bound_card(summary: Summary) -> tuple[str, str, str]:
    breakdown = summary.breakdown
    if breakdown is None or breakdown.bound_by is None:
        return "Bound by", ABSENT, ""
    share = percent(breakdown.by_resource[breakdown.bound_by])
    return (
        "Bound by",
        RESOURCE_TITLES[breakdown.bound_by],
        f"{share} of busy time, busy {percent(breakdown.busy)}",
    )


def _latency_table(summary: Summary, slo: SloSpec | None) -> str:
    bounds = {} if slo is None else {"ttft": slo.ttft, "tpot": slo.tpot, "e2el": slo.e2el}
    rows: list[list[str]] = []
    for prefix, part in (("", "whole run"), ("steady_", "steady part")):
        if prefix and summary.window is None:
            continue
        for key, name, _ in LATENCIES:
            shown = [milliseconds(summary.values[f"{prefix}{kind}_{key}_ms"]) for kind in KINDS]
            bound = bounds.get(key)
            rows.append([name, part, *shown, ABSENT if bound is None else seconds(bound)])
    return table(("", "over", *KINDS, "SLO"), rows, words=2)


def _definitions() -> str:
    return "; ".join(f"{name} = {formula}" for _, name, formula in LATENCIES) + "."

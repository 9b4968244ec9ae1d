"""What `bandwall run` prints: throughput, latency against the SLO, what bounds it, memory, assumptions."""

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from sim.cli.output import print_table
from sim.cli.wording import amount, layout, milliseconds, per_second, percent

if TYPE_CHECKING:
    from rich.console import Console

    from sim.figures import Assumption
    from sim.metrics.summary import Value
    from sim.scenario import Outcome

_SHOWN_ASSUMPTIONS = 5
_WEAKEST_FIRST = ("unstated", "assumption", "estimate", "press", "datasheet", "measured")


def print_outcome(out: "Console", outcome: "Outcome") -> None:
    """The run as compact tables."""
    values = outcome.summary.values
    out.print(f"{outcome.scenario.name}: {layout(outcome.deployment)}", markup=False)
    for note in outcome.summary.notes:
        out.print(f"Note: {note}", markup=False)
    _throughput(out, outcome)
    _latency(out, outcome)
    _bounds(out, outcome)
    _memory(out, outcome)
    print_assumptions(out, outcome.summary.assumptions)
    out.print(
        f"bandwall {values['version']}, fidelity {outcome.scenario.spec.fidelity}", style="dim", markup=False
    )


def _throughput(out: "Console", outcome: "Outcome") -> None:
    values = outcome.summary.values
    met = values["slo_attainment"]
    rows = [
        (
            "requests completed",
            f"{values['completed']} of {values['num_prompts']} in {_number(values, 'duration'):.1f} s",
        ),
        ("request throughput", per_second(values["request_throughput"], "requests")),
        ("output throughput", per_second(values["output_throughput"], "tokens")),
        ("total token throughput", per_second(values["total_token_throughput"], "tokens")),
        ("output tokens/s per chip", per_second(values["tokens_per_s_per_chip"], "tokens")),
        ("output tokens/s per user", per_second(values["tokens_per_s_per_user"], "tokens")),
    ]
    if met is not None:
        verdict = "met" if values["meets_slo"] else "missed"
        rows += [
            ("request goodput", per_second(values["request_goodput"], "requests")),
            ("SLO attainment", f"{percent(met)} ({verdict})"),
        ]
    rows += [("MFU · MBU", f"{percent(values['mfu'])} · {percent(values['mbu'])}")]
    for name, text, unit in (
        ("usd_per_million_output_tokens", "cost of 1M output tokens", "USD"),
        ("joules_per_output_token", "energy per output token", "J"),
    ):
        if values[name] is not None:
            rows.append((text, f"{_number(values, name):.3g} {unit}"))
    print_table(out, "Throughput", ("", ""), rows)


def _latency(out: "Console", outcome: "Outcome") -> None:
    values, slo = outcome.summary.values, outcome.scenario.spec.slo
    bounds = {} if slo is None else {"ttft": slo.ttft, "tpot": slo.tpot, "e2el": slo.e2el}
    rows: list[tuple[str, ...]] = []
    for name in ("ttft", "tpot", "itl", "e2el"):
        shown = [milliseconds(values[f"{which}_{name}_ms"]) for which in ("mean", "p50", "p90", "p99")]
        bound = bounds.get(name)
        rows.append((name.upper(), *shown, "" if bound is None else milliseconds(bound * 1e3)))
    title = (
        "Latency, ms" if outcome.summary.steady else "Latency, ms (not steady: depends on the run's length)"
    )
    print_table(out, title, ("", "mean", "p50", "p90", "p99", "SLO"), rows)


def _bounds(out: "Console", outcome: "Outcome") -> None:
    breakdown = outcome.summary.breakdown
    if breakdown is None or breakdown.bound_by is None:
        return
    rows = [(name, percent(share)) for name, share in breakdown.by_resource.items()]
    print_table(out, f"Bound by {breakdown.bound_by}; share of busy time", ("resource", ""), rows)
    groups = [(name, percent(share)) for name, share in list(breakdown.by_group.items())[:8]]
    print_table(out, f"Busy {percent(breakdown.busy)} of the time; by operator", ("operator", ""), groups)


def _memory(out: "Console", outcome: "Outcome") -> None:
    memory, values = outcome.memory, outcome.summary.values
    stage = memory.tightest
    rows = [
        ("weights", amount(sum(stage.weights.values()))),
        ("activations", amount(stage.activations)),
        ("reserve", amount(stage.reserve)),
        ("free for KV", amount(stage.free)),
        ("usable of visible", f"{amount(stage.usable)} of {amount(stage.visible)}"),
        ("KV tokens of a replica", f"{memory.kv_tokens:,}"),
        ("KV peak", percent(values["kv_peak"])),
        ("preemptions", str(values["preemptions"])),
        ("prompt tokens from cache", percent(values["cached_token_share"])),
    ]
    print_table(out, "Memory of a chip", ("", ""), rows)


def print_assumptions(out: "Console", assumptions: "tuple[Assumption, ...]") -> None:
    """How many figures the result rests on, by basis, and the weakest of them."""
    counts = Counter(a.basis for a in assumptions)
    said = ", ".join(f"{counts[basis]} {basis}" for basis in _WEAKEST_FIRST if counts[basis])
    ranked = sorted(assumptions, key=lambda a: _WEAKEST_FIRST.index(a.basis))
    rows = [(a.path, a.text, a.basis, a.source) for a in ranked[:_SHOWN_ASSUMPTIONS]]
    title = f"Rests on {len(assumptions)} figures ({said}); the weakest"
    print_table(out, title, ("figure", "value", "basis", "source"), rows, text_columns=4)


def _number(values: "Mapping[str, Value]", name: str) -> float:
    value = values[name]
    return float(value) if isinstance(value, int | float) else float("nan")

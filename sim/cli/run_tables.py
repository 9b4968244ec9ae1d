"""What `bandwall run` prints: throughput, latency against the SLO, what bounds it, memory, assumptions."""

from collections import Counter
from collections.abc import Mapping
from itertools import zip_longest
from typing import TYPE_CHECKING

from sim.cli.output import side_by_side, table
from sim.cli.wording import ABSENT, amount, layout, percent, significant

if TYPE_CHECKING:
    from rich.console import Console, Group

    from sim import Outcome
    from sim.figures import Assumption
    from sim.metrics import RequestTime, Summary, TimeBreakdown
    from sim.metrics.summary import Value

SHOWN_ASSUMPTIONS = 5
SHOWN_OPERATORS = 7
SHOWN_CLIENTS = 12
_WEAKEST_FIRST = ("unstated", "assumption", "estimate", "press", "datasheet", "measured")
_LATENCIES = ("ttft", "tpot", "itl", "e2el")


def print_outcome(out: "Console", outcome: "Outcome") -> None:
    """The run as compact tables."""
    summary = outcome.summary
    out.print(f"{outcome.scenario.name}: {layout(outcome.deployment)}\n", markup=False)
    left = [_throughput(summary.values), _latency(outcome), *_request_time(summary.request_time)]
    right = [*_bounds(summary.breakdown), _memory(outcome), *_operation(summary)]
    out.print(side_by_side(left, right))
    if summary.clients:
        out.print(_clients(outcome))
    _print_admission(out, summary.values)
    for note in summary.notes:
        out.print(f"Note: {note}", markup=False)
    print_assumptions(out, summary.assumptions)
    fidelity, version = outcome.scenario.spec.fidelity, summary.values["version"]
    out.print(f"bandwall {version}, fidelity {fidelity}", style="dim", markup=False)


def _throughput(values: "Mapping[str, Value]") -> "Group":
    rows = [
        ("requests completed", f"{values['completed']} of {values['num_prompts']}"),
        ("duration", _with_unit(values["duration"], "s")),
        ("request throughput", _with_unit(values["request_throughput"], "/s")),
        ("request goodput", _with_unit(values["request_goodput"], "/s")),
        ("SLO attainment", _attainment(values)),
        ("output tokens", _with_unit(values["output_throughput"], "/s")),
        ("all tokens", _with_unit(values["total_token_throughput"], "/s")),
        ("output tokens per chip", _with_unit(values["tokens_per_s_per_chip"], "/s")),
        ("output tokens per user", _with_unit(values["tokens_per_s_per_user"], "/s")),
        ("MFU, MBU", f"{percent(values['mfu'])}, {percent(values['mbu'])}"),
        ("1M output tokens", _with_unit(values["usd_per_million_output_tokens"], "USD")),
        ("an output token", _with_unit(values["joules_per_output_token"], "J")),
        ("power, mean and peak", _power(values)),
    ]
    return table("Throughput, cost, energy", ("", ""), [row for row in rows if row[1] != ABSENT])


def _power(values: "Mapping[str, Value]") -> str:
    mean, peak = values["mean_kw"], values["peak_kw"]
    if not (isinstance(mean, float) and isinstance(peak, float)):
        return ABSENT
    return f"{significant(mean)}, {significant(peak)} kW"


def _attainment(values: "Mapping[str, Value]") -> str:
    attained = values["slo_attainment"]
    if attained is None:
        return ABSENT
    return f"{percent(attained)}, {'met' if values['meets_slo'] else 'missed'}"


def _latency(outcome: "Outcome") -> "Group":
    values, slo = outcome.summary.values, outcome.scenario.spec.slo
    bounds = {} if slo is None else {"ttft": slo.ttft, "tpot": slo.tpot, "e2el": slo.e2el}
    columns = ["", "mean", "p50", "p90", "p99", *(["SLO"] if slo is not None else [])]
    rows: list[list[str]] = []
    for name in _LATENCIES:
        row = [_number(values[f"{which}_{name}_ms"]) for which in columns[1:5]]
        bound = bounds.get(name)
        rows.append([name.upper(), *row, *([_number(bound and bound * 1e3)] if slo is not None else [])])
    steady = "" if outcome.summary.steady else " (not steady: they depend on the run's length)"
    return table(f"Latency, ms{steady}", columns, rows)


def _clients(outcome: "Outcome") -> "Group":
    """One row per kind of users, worst attainment first."""
    bounded = outcome.summary.values["slo_attainment"] is not None
    rows: list[list[str]] = []
    worst = sorted(outcome.summary.clients.items(), key=lambda item: _attained(item[1]))
    for name, values in worst[:SHOWN_CLIENTS]:
        row = [name, f"{values['num_prompts']:,}", _number(values["request_throughput"])]
        row += [_number(values[f"{which}_{kind}_ms"]) for kind in _LATENCIES[:2] for which in ("p50", "p99")]
        row += [_number(values["p99_e2el_ms"])]
        if bounded:
            row.append(_attainment(values))
        rows.append(row)
    heads = ["", "requests", "/s", "TTFT p50", "p99", "TPOT p50", "p99", "E2EL p99"]
    left = len(worst) - len(rows)
    title = f"By client, ms ({left} more in --json)" if left else "By client, ms"
    return table(title, heads + (["attained"] if bounded else []), rows)


def _attained(values: "Mapping[str, Value]") -> float:
    attained = values["slo_attainment"]
    return attained if isinstance(attained, float) else 1.0


def _request_time(spent: "RequestTime | None") -> "list[Group]":
    """Mean TTFT and TPOT by cause."""
    if spent is None or not spent.rows():
        return []
    ttft, tpot = spent.ttft, spent.tpot
    rows = [
        (cause, *(_number(None if seconds is None else 1e3 * seconds) for seconds in spent_on))
        for cause, *spent_on in spent.rows()
    ]
    whole = ("mean", *(ABSENT if parts is None else _number(1e3 * parts.mean) for parts in (ttft, tpot)))
    return [table("Where a request's time goes, ms", ("", "TTFT", "TPOT"), [*rows, whole])]


def _bounds(breakdown: "TimeBreakdown | None") -> "list[Group]":
    """By resource and by operator, as shares of the time in which a step runs."""
    if breakdown is None or breakdown.bound_by is None:
        return []
    title = f"Bound by {breakdown.bound_by}; busy {percent(breakdown.busy)} of the time, of which"
    causes = sorted(breakdown.by_cause.items(), key=lambda item: -item[1])
    resources = [(name, percent(share)) for name, share in causes]
    groups = [(name, percent(share)) for name, share in breakdown.by_group.items()]
    both = zip_longest(resources, groups[:SHOWN_OPERATORS], fillvalue=("", ""))
    rows = [(*resource, *group) for resource, group in both]
    return [table(title, ("resource", "", "operators", ""), rows, "lrlr")]


def _print_admission(out: "Console", values: "Mapping[str, Value]") -> None:
    """What waiting requests wait for: a service can be bound by room before it is bound by time."""
    waits = {what: values[f"waiting_for_{what}"] for what in ("kv_cache", "max_num_seqs", "step_budget")}
    said = [f"{what} {percent(share)}" for what, share in waits.items() if share]
    if said:
        out.print(f"Requests wait for {', '.join(said)} of the run.", markup=False)


def _memory(outcome: "Outcome") -> "Group":
    memory, values = outcome.memory, outcome.summary.values
    stage = memory.tightest
    rows = [
        ("weights", amount(sum(stage.weights.values()))),
        ("activations, reserve", f"{amount(stage.activations)}, {amount(stage.reserve)}"),
        ("free for KV", amount(stage.free)),
        ("usable of visible", f"{amount(stage.usable)} of {amount(stage.visible)}"),
        ("KV tokens of a replica", f"{memory.kv_tokens:,}"),
        ("KV peak", percent(values["kv_peak"])),
        ("preemptions", str(values["preemptions"])),
        ("prompt tokens from cache", percent(values["cached_token_share"])),
    ]
    return table("Memory of a chip", ("", ""), rows)


def _operation(summary: "Summary") -> "list[Group]":
    """What became of a fleet that is operated."""
    values = summary.values
    groups: list[Group] = []
    if values["mean_replicas_up"] is not None:
        up = f"{_number(values['mean_replicas_up'])}, {values['most_replicas_up']}"
        turned_away = ("rejected_rate_limit", "rejected_queue_full", "failed_deadline", "failed_retries")
        rows = [
            ("replicas up: mean, most", up),
            ("availability", percent(values["availability"])),
            ("failures of parts", str(values["failures"])),
            ("requests sent again", f"{values['retried_requests']} ({values['retries']} times)"),
            (
                "weight loads, mean",
                f"{values['weight_loads']}, {_with_unit(values['mean_weight_load_s'], 's')}",
            ),
            *((name.replace("_", ", ", 1).replace("_", " "), str(values[name])) for name in turned_away),
        ]
        groups.append(table("Fleet", ("", ""), [row for row in rows if row[1] not in (ABSENT, "0")]))
    return groups


def print_assumptions(out: "Console", assumptions: "tuple[Assumption, ...]") -> None:
    """How many figures the result rests on, by basis, and the weakest of them."""
    counts = Counter(a.basis for a in assumptions)
    said = ", ".join(f"{counts[basis]} {basis}" for basis in _WEAKEST_FIRST if counts[basis])
    ranked = sorted(assumptions, key=lambda a: _WEAKEST_FIRST.index(a.basis))
    rows = [(a.path, a.text, a.basis, a.source) for a in ranked[:SHOWN_ASSUMPTIONS]]
    title = f"Rests on {len(assumptions)} figures ({said}); the weakest:"
    out.print(table(title, ("figure", "value", "basis", "source"), rows, "llll"))


def _with_unit(value: "Value", unit: str) -> str:
    return f"{significant(value)} {unit}" if isinstance(value, int | float) else ABSENT


def _number(value: "Value") -> str:
    return significant(value) if isinstance(value, int | float) else ABSENT

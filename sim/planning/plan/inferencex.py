"""Simulated runs as records of InferenceX, so that they lie on the same Pareto plot as measured ones.

Latencies are in s; interactivity (`*_intvty`) is 1 / TPOT, tokens/s per user; throughput is per chip.
"""

from collections.abc import Iterable

from sim.deployment import Deployment
from sim.planning.plan.option import Option
from sim.planning.plan.trial import Record, measured

_LATENCIES = ("ttft", "tpot", "itl", "e2el")
_KINDS = ("mean", "median", "p90", "p99")


def inferencex_records(model: str, options: Iterable[Option]) -> list[dict[str, object]]:
    """One record per run of every option's search."""
    return [
        _record(model, option, trial.record)
        for option in options
        for trial in option.search.trials
        if trial.record.get("completed")
    ]


def _record(model: str, option: Option, run: Record) -> dict[str, object]:
    layout, chips = option.unit.answers.layout, option.unit.each
    parallel, precision = layout.parallel, layout.precision
    completed = measured(run, "completed") or 1.0
    record: dict[str, object] = {
        "hw": option.candidate,
        "conc": run.get("mean_running"),
        "model": model,
        "framework": str(run.get("backend", "")).partition(" ")[0],
        "precision": precision.weights,
        "spec_decoding": _drafting(option.unit.answers.screened.deployment),
        "disagg": option.unit.prompts is not None,
        "isl": float(str(run.get("total_input_tokens", 0))) / completed,
        "osl": float(str(run.get("total_output_tokens", 0))) / completed,
        "tp": parallel.tp * parallel.dp,
        "pp": parallel.pp,
        "ep": parallel.ep,
        "dcp_size": parallel.dcp,
        "pcp_size": parallel.pcp,
        "dp_attention": parallel.dp > 1,
        "tput_per_gpu": _per(measured(run, "total_token_throughput"), chips),
        "output_tput_per_gpu": _per(measured(run, "output_throughput"), chips),
    }
    for kind in _KINDS:
        for name in _LATENCIES:
            found = measured(run, f"{kind}_{name}_ms")
            record[f"{kind}_{name}"] = None if found is None else found / 1e3
        tpot = measured(run, f"{kind}_tpot_ms")
        record[f"{kind}_intvty"] = 1e3 / tpot if tpot else None
    power = run.get("mean_power_per_chip_w")
    return record | {
        "power_valid": power is not None,
        "avg_power_w": power,
        "joules_per_output_token": run.get("joules_per_output_token"),
    }


def _drafting(deployment: Deployment) -> str:
    drafts = deployment.speculation
    return "none" if drafts is None else "mtp" if drafts.shares_weights else "draft_model"


def _per(value: float | None, chips: int) -> float | None:
    return None if value is None else value / chips

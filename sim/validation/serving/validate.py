"""All cases of catalogues against what we simulate for them.

Cases of one configuration are run by one process, which measures their saturation once; the processes share
nothing, so that the report does not depend on how many there are.
"""

import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from sim.errors import UserError
from sim.validation.serving.cases import MeasuredCase, read_cases
from sim.validation.serving.distributions import (
    Distribution,
    OverTime,
    compare_latencies,
    compare_queue,
)
from sim.validation.serving.raw import read_recorded
from sim.validation.serving.report import ServingReport, Skipped
from sim.validation.serving.row import ServingRow
from sim.validation.serving.runs import keeps_up, regime, run_case, saturation
from sim.validation.serving.scenario import BuiltCase, NotRunnableError, build
from sim.validation.serving.steps import is_step, step_values


@dataclass(slots=True)
class Findings:
    """What the cases of one configuration came to."""

    rows: list[ServingRow] = field(default_factory=list["ServingRow"])
    distributions: list[Distribution] = field(default_factory=list["Distribution"])
    over_time: list[OverTime] = field(default_factory=list["OverTime"])
    skipped: list[Skipped] = field(default_factory=list["Skipped"])


def validate_serving(paths: Sequence[Path], *, jobs: int = 1, only: str = "") -> ServingReport:
    """Builds, runs and compares every case.

    Args:
        jobs: processes.
        only: take just the cases whose id contains this.
    Raises:
        UserError: for a catalogue that cannot be read, or no case left.
    """
    cases = [case for path in paths for case in read_cases(path) if only in case.id]
    if not cases:
        raise UserError(f"no case has '{only}' in its id")
    groups = _by_configuration(cases)
    if jobs == 1 or len(groups) == 1:
        found = [compare(group) for group in groups]
    else:
        with ProcessPoolExecutor(jobs) as pool:
            found = list(pool.map(compare, groups))
    return _report(cases, found)


def _by_configuration(cases: Iterable[MeasuredCase]) -> list[list[MeasuredCase]]:
    """Cases that differ in nothing but their load, in order of first appearance."""
    groups: dict[str, list[MeasuredCase]] = {}
    for case in cases:
        lengths = (case.workload.get("isl"), case.workload.get("osl"))
        key = (case.model, case.hardware, case.devices, case.parallelism, case.precision, lengths)
        name = json.dumps((*key, case.engine, case.version, case.label), default=str)
        groups.setdefault(name, []).append(case)
    return list(groups.values())


def compare(cases: Sequence[MeasuredCase]) -> Findings:
    """Runs the cases of one configuration."""
    found = Findings()
    full: dict[tuple[int, int], float] = {}
    for case in cases:
        try:
            with tempfile.TemporaryDirectory() as folder:
                _compare_one(case, Path(folder), full, found)
        except NotRunnableError as reason:
            found.skipped.append(Skipped(case.id, str(reason)))
        except UserError as error:
            found.skipped.append(Skipped(case.id, f"refused: {_without_case(case, error)}"))
    return found


def _without_case(case: MeasuredCase, error: UserError) -> str:
    return str(error).removeprefix(f"{case.id}: ")


def _compare_one(
    case: MeasuredCase, folder: Path, full: dict[tuple[int, int], float], found: Findings
) -> None:
    built = build(case, folder)
    if is_step(case):
        found.rows += _rows(case, built, step_values(case, built), "low", kept_up=True)
        return
    run = run_case(case, built)
    engine = run.served.prepared.deployment.engine
    key = (engine.max_num_seqs, engine.max_num_batched_tokens)
    if key not in full:
        full[key] = saturation(built, run.served)
    result = run.served.result
    kept_up = run.served.requests.concurrency is not None or keeps_up(result)
    found.rows += _rows(case, built, run.values, regime(result, full[key]), kept_up=kept_up)
    records = read_recorded(case) if case.label[0] == "c" else None
    if records is not None:
        found.distributions += compare_latencies(case.id, records, run.served.result)
        found.over_time += compare_queue(case.id, records, run.served.result)


def _rows(
    case: MeasuredCase, built: BuiltCase, values: Mapping[str, float], load: str, *, kept_up: bool
) -> list[ServingRow]:
    return [
        ServingRow(
            id=case.id,
            metric=metric,
            category=case.category,
            model=case.model,
            gpu=case.gpu,
            engine=built.family,
            regime=load,
            label=case.label,
            quality=case.quality,
            source=case.source,
            configuration=_configuration(case),
            group=_load(case),
            measured=case.metrics[metric],
            simulated=simulated,
            kept_up=kept_up,
        )
        for metric, simulated in values.items()
        if case.metrics[metric] > 0
    ]


def _configuration(case: MeasuredCase) -> str:
    """What is equal where two sites have measured the same."""
    engine = case.engine.split()[0] if case.engine else ""
    layout = {name: size for name, size in case.parallelism.items() if name != "note"}
    return json.dumps([_load(case), case.gpu, case.devices, layout, case.precision.get("weights"), engine])


def _load(case: MeasuredCase) -> str:
    """Model and load, which two configurations must share to be ranked."""
    load = [case.workload.get(name) for name in ("isl", "osl", "concurrency", "request_rate", "step")]
    return json.dumps([case.model, case.label, load], default=str)


def _report(cases: Sequence[MeasuredCase], found: Sequence[Findings]) -> ServingReport:
    order = {case.id: index for index, case in enumerate(cases)}
    rows = sorted((row for part in found for row in part.rows), key=lambda row: order[row.id])
    skipped = [skip for part in found for skip in part.skipped]
    reasons = Counter(skip.reason for skip in skipped)
    return ServingReport(
        cases=len(cases),
        rows=tuple(rows),
        distributions=tuple(d for part in found for d in part.distributions),
        over_time=tuple(o for part in found for o in part.over_time),
        skipped=tuple(sorted(skipped, key=lambda skip: (-reasons[skip.reason], skip.reason, order[skip.id]))),
    )

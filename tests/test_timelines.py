"""Timelines: what is written is a trace by the format's own rules, and shows the step or run as it was."""

import json
import socket
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from metrics_runs import MiniService, poisson_run
from report_outcomes import EXAMPLE, WORKLOAD, explanation, outcome
from test_engine import lone
from trace_reader import read_trace, slices

import sim
from sim.cli import execute
from sim.report.run_trace import run_trace
from sim.report.step_trace import step_trace
from sim.serving import RunResult, serve_fleet
from sim.timing.linear_surface import LinearSurface
from sim.timing.timeline import Counter, StepTimeline, TimelineEvent
from sim.workload.requests import Requests

PREBUILT = ("commondatastorage.googleapis.com", 443)
"""Where the perfetto package takes its trace processor from."""


def written(trace, folder: Path) -> list[dict]:
    path = folder / "trace.json"
    path.write_text(trace.text())
    return read_trace(path)


def of_run(result: RunResult, folder: Path, **how: int) -> list[dict]:
    return written(run_trace(result, **how)[0], folder)


def test_the_operators_of_a_step_lie_end_to_end_and_fill_it(tmp_path: Path) -> None:
    events = written(step_trace(explanation()), tmp_path)
    step = explanation().step
    operators = slices(events, "operators")
    assert {e["name"] for e in operators} == {o.name for o in step.operators if o.time > 0}
    assert sum(e["dur"] for e in operators) == pytest.approx(1e6 * step.total, rel=1e-5)
    assert max(e["ts"] + e["dur"] for e in operators) == pytest.approx(1e6 * step.total, rel=1e-6)


def test_each_cause_of_a_step_has_its_track_with_its_time(tmp_path: Path) -> None:
    events = written(step_trace(explanation()), tmp_path)
    for cause, seconds in explanation().attribution.items():
        assert sum(e["dur"] for e in slices(events, cause)) == pytest.approx(1e6 * seconds, rel=1e-3)


def test_rates_of_a_step_stay_within_the_chips_peaks_and_integrate_to_its_work(tmp_path: Path) -> None:
    events = written(step_trace(explanation()), tmp_path)
    used = [e for e in events if e["ph"] == "C" and "in use" in e["name"]]
    assert used
    assert all(0 <= e["args"]["value"] <= 100.001 for e in used)
    traffic = [(e["ts"], e["args"]["value"]) for e in events if e["name"] == "HBM traffic, B/s"]
    moved = sum((b - a) * rate / 1e6 for (a, rate), (b, _) in pairwise(traffic))
    assert moved == pytest.approx(sum(o.hbm_bytes for o in explanation().step.operators), rel=1e-3)


def test_a_simulated_steps_overlapping_stretches_get_lanes_of_their_own(tmp_path: Path) -> None:
    events = (
        TimelineEvent("hbm", "a", "g", 0, 0, 0.0, 2e-6, hbm_bytes=10.0),
        TimelineEvent("hbm", "b", "g", 1, 1, 1e-6, 3e-6),
        TimelineEvent("hbm", "c", "g", 2, 0, 2e-6, 4e-6),
    )
    timeline = StepTimeline(("hbm",), events, (Counter("HBM", "B/s", (0.0, 2e-6), (5.0, 1.0)),), (), 61, 3)
    simulated = replace(explanation(), step=replace(explanation().step, timeline=timeline))
    trace = step_trace(simulated)
    found = written(trace, tmp_path)
    assert [e["name"] for e in slices(found, "hbm")] == ["a", "c"]
    assert slices(found, "hbm (2)")[0]["args"] == {"layer": 1, "batch": 1}
    assert (trace.about["layers"], trace.about["layers_shown"]) == (61, 3)


def test_a_runs_requests_show_their_phases_and_the_engine_its_steps(tmp_path: Path) -> None:
    result = outcome().result
    events = of_run(result, tmp_path)
    table = result.requests
    whole = [e for e in slices(events) if e["cat"] == "requests"]
    assert len(whole) == len(table.arrival)
    for name, start, end in (
        ("front_end", table.arrival, table.received),
        ("queueing", table.received, table.scheduled),
        ("prefill", table.scheduled, table.first_token),
        ("decode", table.first_token, table.finish),
    ):
        shown = sum(e["dur"] for e in slices(events) if e["cat"] == "phases" and e["name"] == name)
        assert shown == pytest.approx(1e6 * float((end - start).sum()), rel=1e-6)
    steps = slices(events, "engine steps")
    assert sum(e["args"]["steps"] for e in steps) == result.segments.steps.sum()
    assert sum(e["dur"] for e in steps) == pytest.approx(1e6 * float(result.segments.time.sum()), rel=1e-6)
    counters = {e["name"] for e in events if e["ph"] == "C"}
    assert {"running requests", "waiting requests", "KV cache used, %"} <= counters


def test_a_simulated_steps_own_timeline_is_a_trace(tmp_path: Path) -> None:
    scenario = sim.load(EXAMPLE, ["fidelity=event"])
    explained = sim.explain(scenario, decode=32, context=2048)
    trace = step_trace(explained)
    events = written(trace, tmp_path)
    assert trace.about["fidelity"] == "event"
    assert 0 < trace.about["layers_shown"] < trace.about["layers"]
    busy = [e["name"] for e in slices(events)]
    assert {"experts", "mla_decode", "attention_all_reduce"} <= set(busy)
    assert max(e["ts"] + e["dur"] for e in slices(events)) == pytest.approx(
        1e6 * trace.about["shown_s"], rel=1e-6
    )
    assert {e["name"] for e in events if e["ph"] == "C"} >= {"HBM traffic, B/s", "scale_up traffic, B/s"}


def test_a_moved_cache_shows_between_prefill_and_decode(tmp_path: Path) -> None:
    result = poisson_run(n=20)
    table = result.requests
    prefilled = 0.5 * (table.scheduled + table.first_token)
    moved = 0.25 * (table.first_token - table.scheduled)
    moved[7] = prefilled[7] = np.nan
    pools = replace(result, requests=replace(table, prefilled=prefilled, kv_transfer=moved))
    shown = [e for e in slices(of_run(pools, tmp_path)) if e["name"] == "transfer"]
    assert len(shown) == 19
    assert sum(e["dur"] for e in shown) == pytest.approx(1e6 * float(np.nansum(moved)), rel=1e-6)


def test_preemption_shows_inside_the_phase_it_fell_in(tmp_path: Path) -> None:
    requests = Requests(np.zeros(2), np.full(2, 32), np.full(2, 40))
    crowded = lone({"num_blocks": 6, "enable_prefix_caching": False})
    result = serve_fleet(requests, LinearSurface(0.01, 1e-4, 3e-6), crowded)
    found = [e for e in slices(of_run(result, tmp_path)) if e["name"] == "preempted"]
    assert len(found) == 1
    assert found[0]["dur"] == pytest.approx(1e6 * float((result.recomputes.end - result.recomputes.start)[0]))


def test_a_long_run_is_thinned_and_says_so(tmp_path: Path) -> None:
    result = poisson_run(n=400, service=MiniService(replicas=2))
    trace, said = run_trace(result, most_requests=50, most_steps=100)
    events = written(trace, tmp_path)
    assert len([e for e in slices(events) if e["cat"] == "requests"]) == 50
    assert len(slices(events, "engine steps")) <= 102
    assert sum(e["args"]["steps"] for e in slices(events, "engine steps")) == result.segments.steps.sum()
    assert len(said) == 2
    assert trace.about["thinned"] == " ".join(said)
    assert run_trace(result)[1] == ()


def test_requests_that_never_finished_are_named_as_left_out() -> None:
    result = poisson_run(n=20)
    status = result.requests.status.copy()
    status[3] = 2
    cut = replace(result, requests=replace(result.requests, status=status))
    assert run_trace(cut)[1] == ("1 of 20 requests did not finish and are not shown.",)


def test_both_verbs_write_their_timeline(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example = str(EXAMPLE)
    step, run = tmp_path / "step.json", tmp_path / "run.json"
    assert execute(["explain", example, "--decode", "8", "--timeline", str(step)]) == 0
    many = ["--set", WORKLOAD % (50, 2100)]
    assert execute(["run", example, *many, "--timeline", str(run)]) == 0
    assert "one in 2 is shown" in " ".join(capsys.readouterr().out.split())
    assert len(read_trace(step)) > 50
    assert len(read_trace(run)) > 2000
    assert json.loads(run.read_text())["otherData"]["scenario"] == "ax-k1-h200.yaml"
    assert execute(["explain", example, "--timeline", example]) == 2


def test_perfettos_own_trace_processor_finds_every_slice(tmp_path: Path) -> None:
    processor = pytest.importorskip("perfetto.trace_processor")
    home = Path.home() / ".local" / "share" / "perfetto" / "prebuilts"
    if not list(home.glob("trace_processor_shell-????????????????")):
        try:
            socket.create_connection(PREBUILT, timeout=2).close()
        except OSError:
            pytest.skip("the perfetto package downloads its trace processor, and its host cannot be reached")
    for name, trace in (("step", step_trace(explanation())), ("run", run_trace(outcome().result)[0])):
        path = tmp_path / f"{name}.json"
        path.write_text(trace.text())
        with processor.TraceProcessor(trace=str(path)) as loaded:
            found = next(iter(loaded.query("select count(*) as n from slice"))).n
            samples = next(iter(loaded.query("select count(*) as n from counter"))).n
        events = read_trace(path)
        assert found == len(slices(events))
        assert samples == sum(e["ph"] == "C" for e in events)


def test_the_public_functions_are_those_the_verbs_call() -> None:
    assert {"write_step_trace", "write_run_trace"} <= set(sim.__all__)

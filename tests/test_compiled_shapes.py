"""Stacks of compiled shapes: padding costs, types and links are theirs, prefill and decode stay apart."""

from dataclasses import replace

import numpy as np
import pytest

import sim
from sim.deployment import engine_families, engine_versions
from sim.errors import UserError
from sim.operators import BatchShape
from sim.scenario.prepared import prepare
from sim.scenario.simulation import serve_scenario
from sim.timing import StepSurface, make_timer

SCENARIO = """
schema: 1
model: llama-3.1-8b
cluster: rngd-server
deployment:
  parallel: {tp: 8}
  engine: {family: FAMILY}
workload:
  arrivals: {process: closed, concurrency: 6}
  prompt_tokens: {distribution: uniform, low: 100, high: 900}
  output_tokens: {distribution: uniform, low: 5, high: 60}
  num_requests: 40
"""
STACKS = ("furiosa-llm", "generic-npu", "vllm-rbln")


def scenario(tmp_path, family: str, *sets: str):
    path = tmp_path / "scenario.yaml"
    path.write_text(SCENARIO.replace("FAMILY", family), encoding="utf-8")
    return sim.load(path, sets)


@pytest.mark.parametrize("family", engine_families())
def test_every_version_of_every_family_serves_every_request(tmp_path, family):
    for version in engine_versions(family):
        served = serve_scenario(scenario(tmp_path, family, f"deployment.engine.version={version}"))
        assert np.isfinite(served.result.requests.finish).all()


@pytest.mark.parametrize("family", STACKS)
def test_a_chunk_costs_what_the_next_compiled_length_costs(tmp_path, family):
    timer = make_timer(prepare(scenario(tmp_path, family)).deployment)
    longest = timer.deployment.host.prefill_sizes[-1]
    (short,) = timer.durations(BatchShape(0, 0, (), ((longest - 20, 0),)))
    (padded,) = timer.durations(BatchShape(0, 0, (), ((longest, 0),)))
    assert short == padded
    surface = StepSurface(timer)
    assert surface.mixed(0, [0], [(longest - 20, 0)]) == pytest.approx(padded, rel=1e-3)
    assert timer.explain(BatchShape(0, 0, (), ((longest - 20, 0),))).total == pytest.approx(padded)


@pytest.mark.parametrize("family", STACKS)
def test_a_decode_batch_costs_what_the_next_compiled_size_costs(tmp_path, family):
    timer = make_timer(prepare(scenario(tmp_path, family)).deployment)
    assert timer.padded(5) == 8
    unpadded = replace(timer.deployment, host=replace(timer.deployment.host, graph_sizes=(5,)))
    batch = BatchShape(5, 5000, ())
    assert timer.durations(batch)[0] >= make_timer(unpadded).durations(batch)[0]


def test_compiled_batches_left_out_are_the_largest_alone(tmp_path):
    sets = (
        "deployment.engine.compiled.decode_batches=null",
        "deployment.engine.compiled.prefill_tokens=null",
    )
    host = prepare(scenario(tmp_path, "vllm-rbln", *sets)).deployment.host
    assert (host.graph_sizes, host.prefill_sizes) == ((256,), (512,))


@pytest.mark.parametrize("family", ["generic-npu", "vllm-rbln"])
def test_prefill_and_decode_never_share_a_step(tmp_path, family):
    rows = serve_scenario(scenario(tmp_path, family)).result.segments
    assert not np.any((rows.chunk_tokens > 0) & (rows.decodes > 0))
    assert rows.chunks.max() == 1


def test_collectives_through_the_host_are_slower(tmp_path):
    batch = BatchShape(8, 8000, ())

    def step(path: str) -> float:
        chosen = scenario(tmp_path, "generic-npu", f"deployment.engine.compiled.collectives={path}")
        return float(make_timer(prepare(chosen).deployment).durations(batch)[0])

    assert step("host") > step("device")


def test_a_type_that_the_stack_does_not_compile_is_refused_with_those_it_does(tmp_path):
    refused = scenario(tmp_path, "furiosa-llm", "deployment.precision.weights=fp4")
    with pytest.raises(
        UserError, match=r"precision.weights: the engine compiles no fp4 model \(it knows: bf16"
    ):
        prepare(refused)
    refused = scenario(tmp_path, "vllm-rbln", "deployment.precision.kv_cache=int8")
    with pytest.raises(UserError, match=r"precision.kv_cache: the engine compiles no int8"):
        prepare(refused)


def test_compiled_sizes_must_ascend_and_hold_the_largest_batch(tmp_path):
    with pytest.raises(UserError, match="must ascend"):
        scenario(tmp_path, "vllm-rbln", "deployment.engine.compiled.decode_batches=[8, 4]")
    with pytest.raises(UserError, match="max_num_seqs 256 exceeds the largest"):
        scenario(tmp_path, "vllm-rbln", "deployment.engine.compiled.decode_batches=[8]")


def test_a_result_says_what_a_start_takes_before_the_first_request(tmp_path):
    notes = sim.simulate(scenario(tmp_path, "furiosa-llm")).summary.notes
    assert any("compiling takes 30 min" in note and "loading" in note for note in notes)

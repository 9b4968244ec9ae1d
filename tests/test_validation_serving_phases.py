"""Measured cases beyond one engine: two pools, one phase alone, drafts verified in every step."""

from typing import Any

import pytest
from serving_cases import case, catalogue, metrics

from sim.scenario.prepared import prepare
from sim.validation.serving import validate_serving
from sim.validation.serving.cases import MeasuredCase, read_cases
from sim.validation.serving.phases import overlaps_batches, stated_phases, step_tokens
from sim.validation.serving.scenario import NotRunnableError, build
from sim.validation.serving.speculation import acceptance_for, speculation_of, stated_drafter

POOLS = {"prefill": {"workers": 1, "tp": 1}, "decode": {"workers": 2, "tp": 2}}
DECODE = {"decode": {"ep": 32, "dp": 32, "tp": 1}}
DEEPSEEK: dict[str, Any] = {
    "model": "DeepSeek-R1", "gpu": "H800", "hardware": "H800 SXM", "n_devices": 32,
    "category_label": "d1 PD disaggregation / large EP",
    "precision": {"weights": "fp8", "activations": "fp8", "kv": "bf16"},
    "engine": {"name": "SGLang", "version": "0.5"},
}  # fmt: skip


def read(folder, **changes: Any) -> MeasuredCase:
    return read_cases(catalogue(folder, changed(**changes)))[0]


def changed(**changes: Any) -> dict[str, Any]:
    """A case whose layout is the stated one alone, not laid over that of the base."""
    layout = changes.pop("parallelism", None)
    tree = case(**changes)
    return tree if layout is None else tree | {"parallelism": layout}


# -- two pools ------------------------------------------------------------------------------------------


def test_each_pool_has_its_own_layout_engines_and_chips(tmp_path):
    spec = build(read(tmp_path, parallelism=POOLS, n_devices=5), tmp_path).scenario.spec
    assert spec.prefill is not None
    assert (spec.prefill.deployment.parallel.tp, spec.prefill.deployment.replicas) == (1, 1)
    assert (spec.deployment.parallel.tp, spec.deployment.replicas) == (2, 2)
    assert not spec.transfer.layerwise


def test_sglang_allocates_before_the_prompt_is_computed(tmp_path):
    engine = {"name": "SGLang", "version": "0.5"}
    assert build(
        read(tmp_path, parallelism=POOLS, n_devices=5, engine=engine), tmp_path
    ).scenario.spec.transfer.layerwise


def test_ranks_of_a_dense_model_are_engines_and_those_of_experts_one_engine(tmp_path):
    layout = {"prefill": {"workers": 3, "tp": 1, "dp": 4, "ep": 4}, "decode": {"ep": 32}}
    stated = read(tmp_path, parallelism=layout)
    dense, mixture = (stated_phases(stated, mixture=kind) for kind in (False, True))
    assert (dense["prefill"].engines, dense["prefill"].chips) == (12, 12)
    assert (mixture["prefill"].engines, mixture["prefill"].chips) == (3, 12)
    assert mixture["decode"].layout == {"tp": 1, "pp": 1, "dp": 32, "ep": 32}


def test_a_case_in_two_pools_runs_and_its_rates_are_per_chip_of_both(tmp_path):
    pools = changed(
        parallelism=POOLS,
        n_devices=5,
        category_label="d1 PD disaggregation / large EP",
        metrics=metrics(output_tps_total=500.0, output_tps_per_gpu=100.0, ttft_mean_ms=40.0),
    )
    report = validate_serving([catalogue(tmp_path, pools)])
    values = {row.metric: row.simulated for row in report.rows}
    assert values["output_tps_per_gpu"] == pytest.approx(values["output_tps_total"] / 5)
    assert values["ttft_mean_ms"] > 0
    named = {goal.name for goal in report.goals if goal.all is not None}
    assert {"disaggregated and large EP, throughput", "disaggregated, TTFT"} <= named


def test_pools_that_nobody_laid_out_are_left_out_by_name(tmp_path):
    with pytest.raises(NotRunnableError, match="layout of the pools not stated"):
        build(read(tmp_path, workload={"disaggregated": True}), tmp_path)
    with pytest.raises(NotRunnableError, match="concurrency not stated"):
        build(read(tmp_path, parallelism=POOLS, workload={"concurrency": None}), tmp_path)


# -- one phase ------------------------------------------------------------------------------------------


def test_a_decode_phase_alone_makes_its_batch_once_a_step(tmp_path):
    changes: dict[str, Any] = {
        **DEEPSEEK, "parallelism": DECODE,
        "metrics": metrics(
            output_tps_per_gpu=1500.0, output_tps_total=48000.0, tpot_mean_ms=20.0, ttft_mean_ms=1.0
        ),
        "workload": {"isl": 2000, "osl": 100, "concurrency": None, "batch_per_gpu": 16},
    }  # fmt: skip
    rows = validate_serving([catalogue(tmp_path, changed(**changes))]).rows
    values = {row.metric: row.simulated for row in rows}
    assert set(values) == {"output_tps_per_gpu", "output_tps_total", "tpot_mean_ms"}
    assert values["output_tps_total"] == pytest.approx(32 * 16 / (values["tpot_mean_ms"] / 1e3))
    assert values["output_tps_per_gpu"] == pytest.approx(values["output_tps_total"] / 32)
    changes["workload"]["batch_per_gpu"] = None
    with pytest.raises(NotRunnableError, match="batch of the decode phase not stated"):
        build(read(tmp_path, **changes), tmp_path)


def test_a_prefill_phase_alone_is_prompts_that_are_all_there(tmp_path):
    stated = read(
        tmp_path,
        **DEEPSEEK,
        parallelism={"prefill": {"ep": 32, "dp": 32}},
        workload={"isl": 4096, "osl": None, "n_requests": 50, "arrival": "profile: 16K tokens per GPU"},
        notes="Two micro-batch overlap.",
    )
    spec = build(stated, tmp_path).scenario.spec
    assert spec.deployment.engine.max_num_batched_tokens == 16384
    assert (spec.workload.output_tokens.value, spec.workload.num_requests) == (1, 50)
    assert (spec.deployment.overlap, spec.fidelity) == ("two-batch", "event")


@pytest.mark.parametrize(
    ("words", "tokens"),
    [("16K tokens per GPU per batch", 16384), ("16,384 tokens per device", 16384), ("4 tokens", None)],
)
def test_the_tokens_of_a_prefill_step_are_read_from_its_notes(tmp_path, words, tokens):
    assert step_tokens(read(tmp_path, notes=words)) == tokens


def test_only_an_overlap_of_two_batches_is_one(tmp_path):
    assert overlaps_batches(read(tmp_path, notes="Dual-batch overlap."))
    assert not overlaps_batches(read(tmp_path, notes="overlap scheduler"))


# -- drafts ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "notes", "drafts", "acceptance"),
    [
        ("MTP, 3 draft tokens (acceptance not given)", "", 3, None),
        ("MTP-2", "acceptance rate of 0.75", 2, 0.75),
        ("MTP", "Acceptance: 85 %", 1, 0.85),
        ("mtp, num_speculative_tokens=1", "acceptance length 1.8", 1, 0.8),
        ("MTP", "acceptance 85", 1, None),
    ],
)
def test_drafts_and_acceptance_are_as_stated(tmp_path, words, notes, drafts, acceptance):
    tree = speculation_of(read(tmp_path, workload={"spec_decode": words}, notes=notes))
    assert tree["num_speculative_tokens"] == drafts
    assert tree.get("acceptance") == (None if acceptance is None else pytest.approx(acceptance))


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.9, 1.0])
def test_tokens_a_step_and_acceptance_are_each_others_inverse(alpha):
    tokens = sum(alpha**j for j in range(4))
    assert acceptance_for(tokens, 3) == pytest.approx(alpha, abs=1e-5)


def test_a_drafter_of_unknown_size_is_left_out_and_none_is_none(tmp_path):
    with pytest.raises(NotRunnableError, match="size of the draft model"):
        build(read(tmp_path, workload={"spec_decode": "EAGLE-3"}), tmp_path)
    assert stated_drafter(read(tmp_path, workload={"spec_decode": "off"})) is None


def test_a_step_has_room_for_the_drafts_of_all_its_sequences(tmp_path):
    changes = {**DEEPSEEK, "category_label": "b1 single engine", "parallelism": {"tp": 16, "ep": 16}}
    changes |= {"n_devices": 16, "workload": {"spec_decode": "MTP-3", "max_num_seqs": 4096}}
    deployment = prepare(build(read(tmp_path, **changes), tmp_path).scenario).deployment
    assert deployment.speculation is not None
    assert deployment.engine.max_num_seqs * 4 <= deployment.engine.max_num_batched_tokens


def test_graphs_hold_the_drafts_of_every_sequence_that_may_run(tmp_path):
    changes = {**DEEPSEEK, "category_label": "b1 single engine", "parallelism": {"tp": 16, "ep": 16}}
    changes |= {"n_devices": 16, "workload": {"spec_decode": "MTP-3", "max_num_seqs": 1}}
    deployment = prepare(build(read(tmp_path, **changes), tmp_path).scenario).deployment
    assert max(deployment.host.graph_sizes) >= 4

"""Measured serving cases: read as they are, built as they were measured, compared honestly."""

import csv
import gzip
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from serving_cases import BASE, case, catalogue, metrics

import sim
from sim.cli import execute
from sim.errors import UserError
from sim.serving.records import RunResult
from sim.validation.serving import validate_serving
from sim.validation.serving.cases import MeasuredCase, read_cases
from sim.validation.serving.goals import goals
from sim.validation.serving.layout import cluster_of, stated_layout
from sim.validation.serving.measures import measure
from sim.validation.serving.names import catalogue_chip, catalogue_model, engine_of, nearest_version
from sim.validation.serving.precision import type_in, types_of
from sim.validation.serving.ranking import ranking
from sim.validation.serving.raw import read_lengths, read_recorded
from sim.validation.serving.row import ServingRow
from sim.validation.serving.scenario import NotRunnableError, build
from sim.validation.serving.statistics import cell, cells
from sim.validation.serving.steps import step_shape

SHARED = Path(os.environ.get("BANDWALL_SHARED", "../shared"))


def read(folder: Path, **changes: object) -> MeasuredCase:
    return read_cases(catalogue(folder, case(**changes)))[0]


def built(folder: Path, **changes: object):
    return build(read(folder, **changes), folder)


# -- reading ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no cases"),
        ("{", "cases.jsonl:1: not valid JSON"),
        ("[]", "a case is a JSON object"),
        ('{"id": "x"}', "'category' is missing"),
        (json.dumps(BASE | {"engine": "vLLM"}), "'engine' must be an object"),
        (json.dumps(BASE | {"metrics": {"tpot_mean_ms": "fast"}}), "metrics.tpot_mean_ms must be a number"),
    ],
)
def test_a_catalogue_that_cannot_be_understood_is_refused_with_file_and_line(tmp_path, text, told):
    path = tmp_path / "cases.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=told):
        read_cases(path)
    with pytest.raises(UserError, match="cannot be read"):
        read_cases(tmp_path / "none.jsonl")


# -- names ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "ours"),
    [
        ("Llama-3.1-8B", "llama-3.1-8b"),
        ("Llama-3.1-8B-Instruct", "llama-3.1-8b"),
        ("Qwen3-235B-A22B", "qwen3-235b-a22b"),
        ("Hunyuan-Hy3-295B-A21B", "hunyuan-hy3-295b"),
        ("GLM-4.5-Air", "glm-4.5-air"),
        ("GLM-4.5", "glm-4.5"),
        ("Qwen3-3200B", None),
        ("NoSuchModel-7B", None),
    ],
)
def test_a_model_is_found_by_letters_and_digits_and_never_by_a_number_cut_short(tmp_path, model, ours):
    assert catalogue_model(read(tmp_path, model=model)) == ours


@pytest.mark.parametrize(
    ("gpu", "hardware", "ours"),
    [
        ("H100", "H100 SXM 80GB", "h100"),
        ("H100", "H100 SXM 80GB with NVLink", "h100"),
        ("H100", "H100 NVL 94GB", "h100-nvl"),
        ("A100", "A100 SXM4 40 GB", "a100-40gb"),
        ("RTX PRO 6000", "NVIDIA RTX PRO 6000 Blackwell", "rtx-pro-6000"),
        ("Ascend", "Ascend Atlas 800 A3 (16 x 64GB dies)", "ascend-910c"),
        ("NoSuch", "NoSuch", None),
    ],
)
def test_a_chip_is_found_by_its_name_or_its_product(tmp_path, gpu, hardware, ours):
    assert catalogue_chip(read(tmp_path, gpu=gpu, hardware=hardware)) == ours


@pytest.mark.parametrize(
    ("name", "version", "engine"),
    [
        ("vLLM", "0.19.0", ("vllm", "0.14")),
        ("vLLM", "0.32.1", ("vllm", "0.32")),
        ("vLLM", "0.12.0", ("vllm", "0.12")),
        ("vLLM", "nightly container, Feb 2026", ("vllm", "0.32")),
        ("vLLM ROCm", "vllm/vllm-openai-rocm:v0.24.0", ("vllm", "0.14")),
        ("vLLM", "0.6.3.post2.dev308", ("vllm-legacy", "0.6")),
        ("vLLM", "2024 (not in the CSV)", ("vllm-legacy", "0.6")),
        ("SGLang", "0.5.9", ("sglang", "0.5")),
        ("TensorRT-LLM PyTorch backend", "1.2.0rc6", ("trtllm", "1.0")),
    ],
)
def test_an_engine_gets_the_latest_table_that_is_not_later_than_its_release(tmp_path, name, version, engine):
    assert engine_of(read(tmp_path, engine={"name": name, "version": version})) == engine


def test_releases_are_compared_as_numbers_and_not_as_text():
    assert nearest_version("0.9.1", ("0.32", "0.8", "0.12")) == "0.8"
    assert nearest_version("0.1", ("0.32", "0.8")) == "0.8"
    assert nearest_version("", ("0.32", "0.8")) == "0.32"


@pytest.mark.parametrize(
    ("words", "kind"),
    [("nvfp4 MoE", "fp4"), ("mxfp4 (native)", "fp4"), ("fp8 (dynamic)", "fp8"), ("auto", None), (None, None)],
)
def test_types_are_read_from_the_words_of_the_source(words, kind):
    assert type_in(words) == kind


def test_a_chip_without_the_arithmetic_computes_in_sixteen_bits(tmp_path):
    stated = read(tmp_path, precision={"weights": "mxfp4", "activations": "mxfp4", "kv": "not stated"})
    types = types_of(stated, "gpt-oss-120b", {"bf16", "fp8"})
    assert (types.weights, types.activations, types.kv_cache, types.attention) == (
        "fp4", "bf16", "bf16", "bf16",
    )  # fmt: skip


# -- layouts ----------------------------------------------------------------------------------------------


def test_attention_data_parallelism_inside_tp_is_ranks_of_their_own(tmp_path):
    inside = {"tp": 8, "ep": 8, "attention_dp": True}
    stated = read(tmp_path, parallelism=inside, n_devices=8)
    assert stated_layout(stated, mixture=True) == {"tp": 1, "pp": 1, "dp": 8, "ep": 8}
    assert stated_layout(stated, mixture=False) == {"tp": 8, "pp": 1, "dp": 1, "ep": 1}


def test_a_cluster_grows_by_whole_boxes_where_none_ships_that_is_large_enough():
    cluster = cluster_of("h100", 100)
    assert cluster["chips"] == 128
    assert [tier["domain"] for tier in cluster["tiers"]] == [8, 128]
    assert cluster_of("h100", 1)["chips"] == 1


def test_copies_of_a_dense_model_are_replicas_of_which_one_is_simulated(tmp_path):
    offline = built(
        tmp_path,
        category_label="b2 offline max throughput",
        n_devices=4,
        parallelism={"dp": 4},
        workload={"n_requests": 40, "concurrency": None},
    )
    assert offline.replicas == 4
    assert offline.scenario.spec.workload.num_requests == 10


# -- building ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"workload": {"kv_offload": "LMCache"}}, "size of the KV offload not stated"),
        ({"category_label": "c5 agentic trace replay"}, "turns of the replayed agents not at hand"),
        ({"category_label": "d2 production"}, "needs serving-at-scale: production"),
        ({"workload": {"num_scheduler_steps": "15"}}, "multi-step"),
        ({"model": "NoSuchModel"}, "model NoSuchModel is not in the catalogue"),
        ({"gpu": "NoSuchChip"}, "chip NoSuchChip is not in the catalogue"),
        ({"n_devices": None}, "number of chips not stated"),
        ({"workload": {"osl": None}}, "lengths not stated"),
        ({"workload": {"concurrency": None}}, "concurrency not stated"),
        ({"category_label": "c1 recorded"}, "per-request records not at hand"),
        (
            {"category_label": "c3 MLPerf server", "workload": {"request_rate": None}},
            "request rate not stated",
        ),
    ],
)
def test_a_case_is_left_out_only_by_the_name_of_what_it_needs(tmp_path, changes, why):
    with pytest.raises(NotRunnableError, match=why):
        built(tmp_path, **changes)


def test_inferencex_lengths_are_uniform_between_four_fifths_and_the_nominal_ones(tmp_path):
    harness = {"arrival": "closed loop (InferenceX: random-range ratio 0.8)", "n_requests": 40}
    workload = built(tmp_path, workload=harness).scenario.spec.workload
    assert (workload.prompt_tokens.low, workload.prompt_tokens.high) == (160, 200)
    assert workload.num_requests == 40


def test_the_stated_limits_of_an_engine_override_those_of_its_family(tmp_path):
    stated = {
        "max_num_seqs": 32,
        "max_num_batched_tokens": "2048",
        "enable_chunked_prefill": "FALSE",
        "block_size": 32,
        "kv_cache_free_gpu_mem_fraction": "0.85 (0.80 on OOM)",
        "enforce_eager": "MI300X: no; H100: yes",
        "prefix_cache": "on",
    }
    engine = built(tmp_path, workload=stated).scenario.spec.deployment.engine
    assert (engine.max_num_seqs, engine.max_num_batched_tokens, engine.block_size) == (32, 2048, 32)
    assert engine.gpu_memory_utilization == 0.85
    assert engine.max_cudagraph_capture_size == 0
    assert engine.enable_prefix_caching
    assert not engine.enable_chunked_prefill


def test_a_layout_nobody_stated_is_the_smallest_with_room_for_a_batch(tmp_path):
    unstated = built(
        tmp_path,
        model="Llama-3.1-70B",
        category_label="b4 MLPerf offline",
        n_devices=8,
        parallelism={"tp": None, "pp": None, "dp": None, "ep": None},
        precision={"weights": None, "activations": None, "kv": None},
        workload={"n_requests": 1, "concurrency": None},
    )
    assert unstated.scenario.spec.deployment.precision.weights == "fp8"
    assert unstated.scenario.spec.deployment.parallel.tp * unstated.replicas == 8


# -- measures and statistics ------------------------------------------------------------------------------


def test_metric_names_are_understood_as_their_sources_mean_them():
    assert measure("tpot_unspec_ms") == measure("tpot_mean_ms") == measure("tpot_derived_mean_ms")
    assert measure("output_tps_per_gpu").per_chips == 1
    assert measure("throughput_unspec_tps").what == "output_tps"
    assert measure("kv_transfer_ms") is None
    assert measure("scheduled_rps") is None


def row(
    identity: str = "a", measured: float = 10.0, simulated: float = 11.0, **changes: object
) -> ServingRow:
    keys = {
        "metric": "tpot_mean_ms", "category": "x", "model": "m", "gpu": "g", "engine": "e", "regime": "low",
        "label": "b1 x", "quality": "A", "source": "s", "configuration": identity, "group": "load",
    }  # fmt: skip
    return ServingRow(id=identity, measured=measured, simulated=simulated, **(keys | changes))


def test_a_cell_holds_the_interval_of_its_median_and_the_spread_of_its_sites():
    same = {"configuration": "c"}
    rows = [row("a", 10, 11, **same), row("b", 12, 11, source="t", **same), row("c", 10, 14)]
    found = cell({}, rows)
    assert found.n == 3
    assert found.median_ape == pytest.approx(10.0)
    assert found.interval[0] <= found.median_ape <= found.interval[1]
    assert found.site_spread == pytest.approx(100 * 2 / 11)
    assert cell({}, rows[2:]).site_spread is None


def test_cells_come_worst_first():
    rows = [row("a"), row("b", 10, 20, model="worse")]
    assert [c.keys["model"] for c in cells(rows, ("model",))] == ["worse", "m"]


def test_only_pairs_more_than_a_tenth_apart_are_ranked():
    rows = [row("a", 10, 10), row("b", 10.5, 9), row("c", 20, 9.5), row("d", 21, 30, group="another load")]
    ranks = ranking(rows)
    assert (ranks.pairs, ranks.right) == (2, 1)  # a before c is wrong, b before c right
    assert ranking([row("a")]).share is None


# -- runs -------------------------------------------------------------------------------------------------


def test_a_report_has_every_metric_of_every_case_that_ran_and_counts_the_others(tmp_path):
    path = catalogue(
        tmp_path,
        case(),
        case(
            id="two", workload={"concurrency": 8}, metrics=metrics(output_tps_total=700.0, e2e_p90_ms=300.0)
        ),
        case(id="left out", workload={"kv_offload": "LMCache"}),
        case(id="too large", model="Llama-3.1-405B"),
    )
    report = validate_serving([path])
    assert [(r.id, r.metric) for r in report.rows] == [
        ("one", "tpot_mean_ms"), ("one", "ttft_mean_ms"), ("two", "output_tps_total"), ("two", "e2e_p90_ms"),
    ]  # fmt: skip
    assert all(0.2 < r.simulated / r.measured < 5 for r in report.rows)
    assert [n for _, n in report.reasons] == [1, 1]
    assert any("does not fit" in left.reason for left in report.skipped)
    tree = report.to_json()
    assert tree["kind"] == "serving"
    assert tree["ran"] == 2
    assert {"metric", "category", "model", "gpu", "engine", "regime", "n", "mape"} <= tree["groups"][0].keys()
    lines = list(csv.DictReader(io.StringIO(report.to_csv())))
    assert float(lines[0]["error"]) == pytest.approx(report.rows[0].error)


def test_the_report_does_not_depend_on_the_number_of_processes(tmp_path):
    other = case(id="two", workload={"isl": 100})
    path = catalogue(tmp_path, case(), other)
    assert validate_serving([path], jobs=2).to_json() == validate_serving([path], jobs=1).to_json()


def test_more_users_of_one_configuration_are_nearer_to_its_saturation(tmp_path):
    few, many = {"n_requests": 40}, {"concurrency": 400, "n_requests": 800}
    light, heavy = case(workload={"osl": 200} | few), case(id="heavy", workload={"osl": 200} | many)
    regimes = {r.id: r.regime for r in validate_serving([catalogue(tmp_path, light, heavy)]).rows}
    assert regimes == {"one": "low", "heavy": "near_saturation"}


def test_no_case_left_is_an_error(tmp_path):
    with pytest.raises(UserError, match="no case has 'zzz'"):
        validate_serving([catalogue(tmp_path, case())], only="zzz")


def test_a_static_batch_starts_at_once_and_ends_together(tmp_path):
    static = case(category_label="b3 static batch", metrics=metrics(e2e_mean_ms=400.0, duration_s=0.4))
    by_metric = {r.metric: r.simulated for r in validate_serving([catalogue(tmp_path, static)]).rows}
    assert by_metric["e2e_mean_ms"] == pytest.approx(1e3 * by_metric["duration_s"], rel=1e-6)


def test_a_server_case_draws_its_lengths_from_the_data_set(tmp_path):
    folder = tmp_path / "raw" / "MLPerf"
    folder.mkdir(parents=True)
    (folder / "lengths_llama3.1-8b.csv").write_text("input_length,output_length\n100,20\n300,60\n")
    server = {"request_rate": 20.0, "concurrency": None, "isl": 200, "osl": 80}
    changes = {"category_label": "c3 MLPerf server", "workload": server}
    assert read_lengths(read(tmp_path, **changes)).tolist() == [[100, 20], [300, 60]]
    requests = np.loadtxt(_trace(tmp_path, changes), delimiter=",", skiprows=1)
    assert set(requests[:, 1]) == {100.0, 300.0}
    assert set(requests[:, 2]) == {40.0, 120.0}  # scaled to the mean that was measured
    assert requests[-1, 0] == pytest.approx(len(requests) / 20.0, rel=0.1)


def test_only_mlperf_draws_from_its_data_sets_and_a_step_holds_their_longest_prompt(tmp_path):
    folder = tmp_path / "raw" / "MLPerf"
    folder.mkdir(parents=True)
    (folder / "lengths_llama3.1-8b.csv").write_text("input_length,output_length\n100,20\n20000,60\n")
    changes: dict[str, object] = {
        "engine": {"name": "TensorRT-LLM", "version": "1.0"},
        "workload": {"isl": 200, "osl": 40, "n_requests": 8, "concurrency": None},
    }
    own = built(tmp_path, **changes, category_label="b2 offline max throughput").scenario.spec
    mlperf = built(tmp_path, **changes, category_label="b4 MLPerf offline").scenario.spec
    assert own.workload.prompt_tokens.value == 200
    assert mlperf.workload.arrivals.process == "trace"
    tokens = [spec.deployment.engine.max_num_batched_tokens for spec in (own, mlperf)]
    assert tokens[0] < 20000 < tokens[1]


def _trace(folder: Path, changes: dict[str, object]) -> Path:
    built(folder, **changes)
    return folder / "requests.csv"


def test_a_step_is_priced_from_its_own_composition(tmp_path):
    step = {"phase": "mixed", "prefill_tokens": 100, "prefill_requests": 3, "prefill_kv_tokens": 30,
            "decode_requests": 4, "mean_decode_kv_tokens": 99.0}  # fmt: skip
    shape = step_shape(step, (50,))
    assert shape.chunks == ((34, 10), (33, 10), (33, 10))
    assert (shape.decodes, shape.context, shape.windowed) == (4, 400, (200,))
    alone = case(
        category_label="a1 step level", workload={"isl": None, "osl": None, "step": step},
        metrics=metrics(step_p50_ms=10.0),
    )  # fmt: skip
    (found,) = validate_serving([catalogue(tmp_path, alone)]).rows
    assert 1.0 < found.simulated < 100.0


def test_recorded_requests_are_replayed_and_their_distributions_compared(tmp_path):
    folder = tmp_path / "raw" / "run"
    folder.mkdir(parents=True)
    rows = [
        {"input_toks": 100, "output_toks": 10, "arrival_time": 50.0 + i, "queued_ts": 7.0 + i,
         "first_token_ts": 7.02 + i, "last_token_ts": 7.1 + i}
        for i in range(5)
    ]  # fmt: skip
    (folder / "requests.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    (folder / "timeseries.csv").write_text("t,running,waiting\n1,1,0\n2,1,0\n")
    recorded = case(category_label="c1 recorded", raw="raw/run", metrics=metrics(ttft_mean_ms=20.0))
    records = read_recorded(read_cases(catalogue(tmp_path, recorded))[0])
    assert records.ttft.tolist() == pytest.approx([0.02] * 5)
    assert records.tpot.tolist() == pytest.approx([0.08 / 9] * 5)
    report = validate_serving([catalogue(tmp_path, recorded)])
    assert [d.what for d in report.distributions] == ["ttft", "tpot", "e2e"]
    assert [o.what for o in report.over_time] == ["running", "waiting"]
    assert report.rows[0].simulated == pytest.approx(report.distributions[0].simulated["mean"])


def test_a_benchmark_result_gets_the_arrivals_that_the_benchmark_draws(tmp_path):
    result = {"input_lens": [10, 20], "output_lens": [3, 1], "ttfts": [0.1, 0.2], "itls": [[0.01, 0.03], []]}
    (tmp_path / "result.json").write_text(json.dumps(result))
    records = read_recorded(read(tmp_path, raw="result.json", workload={"request_rate": 4.0}))
    gap = np.random.RandomState(0).exponential(0.25)
    assert records.arrival.tolist() == pytest.approx([0.0, gap])
    assert records.tpot[0] == pytest.approx(0.02)
    assert np.isnan(records.tpot[1])
    assert read_recorded(read(tmp_path, raw="result.json", workload={"request_rate": None})) is None
    assert read_recorded(read(tmp_path, raw="absent.json")) is None
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(UserError, match="cannot be read"):
        read_recorded(read(tmp_path, raw="broken.json"))


def test_the_page_shows_every_chart_and_reason(tmp_path):
    path = catalogue(tmp_path, case(), case(id="left out", workload={"kv_offload": "LMCache"}))
    page = sim.html_validate_serving(validate_serving([path]))
    assert "Time per output token" in page
    assert "size of the KV offload not stated" in page


@pytest.mark.skipif(not (SHARED / "validation").is_dir(), reason="no reference data in BANDWALL_SHARED")
def test_every_case_of_the_shared_catalogue_is_built_or_left_out_by_name(tmp_path):
    reasons: set[str] = set()
    for one in read_cases(SHARED / "validation" / "cases.jsonl")[::25]:
        try:
            build(one, tmp_path)
        except NotRunnableError as reason:
            reasons.add(str(reason))
        except UserError as error:
            reasons.add(f"not possible: {error}")
    assert all("serving-at-scale" in reason or "not" in reason for reason in reasons)


def test_runs_are_results_of_the_engine(tmp_path):
    from sim.validation.serving.runs import run_case

    one = read(tmp_path)
    run = run_case(one, build(one, tmp_path))
    assert isinstance(run.served.result, RunResult)
    assert set(run.values) == set(one.metrics)


def test_the_command_prints_the_worst_first_and_writes_what_is_asked_for(tmp_path, capsys):
    path = catalogue(tmp_path, case(), case(id="left out", workload={"kv_offload": "LMCache"}))
    outputs = [tmp_path / name for name in ("r.json", "r.csv", "r.html")]
    options = [text for out in outputs for text in (f"--{out.suffix[1:]}", str(out))]
    assert execute(["validate", "serving", str(path), "--jobs", "1", *options]) == 0
    out = capsys.readouterr().out
    for part in ("worst median first", "Whole engines", "1 of 2 cases ran", "KV offload not stated"):
        assert part in out
    assert json.loads(outputs[0].read_text())["kind"] == "serving"
    assert all(out.stat().st_size > 100 for out in outputs)
    assert execute(["validate", "serving", str(tmp_path / "none.jsonl")]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_a_servers_rates_are_those_of_the_second_half_of_its_arrivals(tmp_path):
    server = {"request_rate": 20.0, "concurrency": None, "isl": 200, "osl": 80}
    changes = {"category_label": "c3 MLPerf server", "workload": server}
    asked = metrics(output_tps_total=1600.0, achieved_rps=20.0)
    rows = validate_serving([catalogue(tmp_path, case(**changes, metrics=asked))]).rows
    by_metric = {r.metric: r.simulated for r in rows}
    assert by_metric["achieved_rps"] == pytest.approx(20.0, rel=0.05)
    assert by_metric["output_tps_total"] == pytest.approx(80 * by_metric["achieved_rps"], rel=1e-9)
    assert all(r.kept_up for r in rows)


def test_a_server_that_falls_behind_is_marked_and_left_out_of_a_cell(tmp_path):
    server = {"request_rate": 2000.0, "concurrency": None, "isl": 200, "osl": 80}
    flood = case(category_label="c3 MLPerf server", workload=server)
    report = validate_serving([catalogue(tmp_path, flood, case(id="loop"))])
    assert {r.id: r.kept_up for r in report.rows} == {"one": False, "loop": True}
    assert [r["kept_up"] for r in report.to_json()["rows"]] == [r.kept_up for r in report.rows]
    behind = row(metric="ttft_mean_ms", regime="near_saturation", kept_up=False)
    found = {goal.name: goal.all for goal in goals([behind])}
    assert found["TTFT, near saturation"] is not None
    assert found["TTFT, near saturation, kept up"] is None


def test_what_is_measured_without_a_server_has_no_front_end(tmp_path):
    for label, has in (
        ("b1 single engine", True),
        ("b2 offline max throughput", False),
        ("c3 MLPerf server", False),
    ):
        workload = {"request_rate": 5.0} if label[:2] == "c3" else {}
        spec = built(tmp_path, category_label=label, workload=workload).scenario.spec
        assert (spec.deployment.engine.host.front_end.latency.value > 0) == has


def test_answers_vary_where_a_catalogue_only_assumes_one_length(tmp_path):
    stated, assumed = ({"isl_osl_note": note} for note in ("nominal", "fixed lengths assumed"))
    lengths = [built(tmp_path, workload=w).scenario.spec.workload.output_tokens for w in (stated, assumed)]
    assert [one.distribution for one in lengths] == ["constant", "uniform"]
    assert (lengths[1].low, lengths[1].high) == (36, 44)


INFERENCEX = {"isl": 1024, "osl": 1024, "arrival": "closed loop, fixed concurrency (InferenceX)"}


@pytest.mark.parametrize(
    ("engine", "gpu", "model", "weights", "users", "backend"),
    [
        ("vLLM", "H100", "gpt-oss-120b", "mxfp4", 16, "marlin"),
        ("vLLM", "B200", "gpt-oss-120b", "mxfp4", 16, None),
        ("TensorRT-LLM", "B200", "DeepSeek-R1", "nvfp4", 64, "trtllm"),
        ("TensorRT-LLM", "B200", "DeepSeek-R1", "nvfp4", 512, None),
        ("TensorRT-LLM", "B200", "DeepSeek-R1", "fp8", 64, None),
    ],
)
def test_experts_run_the_kernels_that_the_harness_asks_for(
    tmp_path, engine, gpu, model, weights, users, backend
):
    measured = built(
        tmp_path,
        engine={"name": engine, "version": "1.0"},
        gpu=gpu,
        hardware=gpu,
        model=model,
        n_devices=8,
        parallelism={"tp": 8, "pp": 1, "dp": 1, "ep": 1},
        precision={"weights": weights, "activations": None, "kv": "auto"},
        workload=INFERENCEX | {"concurrency": users},
    )
    assert measured.scenario.spec.deployment.engine.backends.get("moe") == backend
    elsewhere = built(
        tmp_path, model=model, gpu=gpu, hardware=gpu, n_devices=8, precision={"weights": weights}
    )
    assert elsewhere.scenario.spec.deployment.engine.backends == {}


def sweep(folder: Path, **workload: object):
    """A case of InferenceX's sweep over conversations, with one recorded request."""
    raw = folder / "client_metrics.csv.gz"
    columns = "start_time_ms,ttft_ms,tpot_ms,latency_ms,input_num_tokens,output_num_tokens,conversation_id"
    raw.write_bytes(gzip.compress(f"{columns}\n0,30,7,300,200,40,a\n400,30,7,300,260,40,a\n".encode()))
    return built(
        folder,
        category_label="c4 multi-turn with prefix cache",
        source={"doc": "SemiAnalysisAI/InferenceX (git history)"},
        gpu="B200",
        hardware="B200",
        n_devices=4,
        parallelism={"tp": 4},
        workload={"prefix_cache": "on", "kv_offload": "native CPU offload, see command"} | workload,
        raw=raw.name,
    )


def test_conversations_run_with_the_store_and_the_kernels_of_their_sweep(tmp_path):
    """1,000 GiB over four ranks; attention without Blackwell's matrix instructions; no graphs in prefill."""
    spec = sweep(tmp_path).scenario.spec.deployment
    assert spec.kv_offload is not None
    assert spec.kv_offload.dram is not None
    assert spec.kv_offload.dram.capacity.value == 250 * 2**30
    assert not spec.engine.piecewise_graphs
    assert set(spec.engine.maturity) == {"attn_decode", "attn_prefill"}
    assert sweep(tmp_path, kv_offload=None).scenario.spec.deployment.kv_offload is None

"""The command: verbs, outputs, exit codes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import sim
from sim.cli import execute

ROOT = Path(__file__).parents[1]
EXAMPLE = str(ROOT / "examples" / "ax-k1-h200.yaml")
SMALL = """\
schema: 1
model: llama-3.1-8b
cluster: h100-hgx
workload:
  arrivals: {process: poisson, rate: 4.0}
  prompt_tokens: {distribution: constant, value: 512}
  output_tokens: {distribution: constant, value: 32}
  num_requests: 40
slo: {ttft: 1 s, tpot: 50 ms}
"""


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    return path


def run_python(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, env=environment, check=False
    )


def modules_after(arguments: list[str]) -> set[str]:
    script = (
        "import sys; from sim.cli import execute; code = execute(sys.argv[1:]); "
        "print('MODULES', *sys.modules); sys.exit(code)"
    )
    done = run_python("-c", script, *arguments)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.rpartition("MODULES")[2].split())


def test_help_loads_nothing_that_computes():
    loaded = modules_after(["--help"])
    heavy = {
        "numpy",
        "pydantic",
        "simpy",
        "plotly",
        "yaml",
        "quantiphy",
        "pandas",
        "scipy",
        "pyarrow",
        "numba",
    }
    assert not heavy & loaded


def test_run_loads_no_charts_and_no_table_formats(small):
    loaded = modules_after(["run", str(small)])
    assert "numpy" in loaded
    heavy = {"plotly", "pandas", "scipy", "pyarrow", "matplotlib", "huggingface_hub", "numba", "simpy"}
    assert not heavy & loaded


def test_run_with_json_on_standard_output_prints_json_alone(small, capsys):
    assert execute(["run", str(small), "--json", "-"]) == 0
    captured = capsys.readouterr()
    record = json.loads(captured.out)
    assert record["completed"] == 40
    assert record["version"] == sim.__version__
    assert "Latency" in captured.err


def test_run_prints_what_bounds_the_service_and_what_it_rests_on(small, capsys):
    assert execute(["run", str(small)]) == 0
    out = capsys.readouterr().out
    for part in (
        "output tokens per chip",
        "TTFT",
        "Bound by",
        "Memory of a chip",
        "Rests on",
        "SLO attainment",
    ):
        assert part in out


def test_run_says_what_waiting_requests_wait_for(small, capsys):
    crowded = ["--set", "workload.arrivals.rate=1000", "--set", "deployment.engine.max_num_seqs=2"]
    assert execute(["run", str(small), *crowded]) == 0
    assert "Requests wait for max_num_seqs" in capsys.readouterr().out


def test_the_result_and_the_resolved_scenario_beside_it_agree(small, tmp_path):
    assert execute(["run", str(small), "--json", str(tmp_path / "first.json")]) == 0
    again = tmp_path / "first.scenario.yaml"
    assert execute(["run", str(again), "--json", str(tmp_path / "second.json")]) == 0
    assert (tmp_path / "first.json").read_bytes() == (tmp_path / "second.json").read_bytes()


def test_the_request_table_has_one_row_per_request(small, tmp_path):
    table = tmp_path / "requests.csv"
    assert execute(["run", str(small), "--requests", str(table)]) == 0
    lines = table.read_text().splitlines()
    assert len(lines) == 41
    assert "ttft_s" in lines[0]


def test_the_request_table_can_be_parquet(small, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    table = tmp_path / "requests.parquet"
    assert execute(["run", str(small), "--requests", str(table)]) == 0
    assert parquet.read_table(table).num_rows == 40


def test_the_record_says_what_was_offered(small, capsys):
    gamma = "workload.arrivals={process: gamma, rate: 2.0, cv: 2.0}"
    for override, rate, shape in (("seed=1", 4.0, 1.0), (gamma, 2.0, 0.25)):
        assert execute(["run", str(small), "--set", override, "--json", "-"]) == 0
        record = json.loads(capsys.readouterr().out)
        assert (record["request_rate"], record["burstiness"]) == (rate, shape)


def test_an_interrupted_run_ends_quietly(small, capsys, monkeypatch):
    def interrupted(_scenario: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sim, "simulate", interrupted, raising=False)
    assert execute(["run", str(small)]) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_requests_that_never_ran_are_explained_and_leave_no_nan(small, capsys):
    assert execute(["run", str(small), "--set", "workload.prompt_tokens.value=200000"]) == 0
    said = capsys.readouterr().out
    assert "40 of 40 requests are rejected" in said
    assert "max_model_len, 131,072 tokens" in said
    assert "nan" not in said


def test_answers_that_end_early_are_counted(small, capsys):
    assert execute(["run", str(small), "--set", "deployment.engine.max_model_len=520"]) == 0
    assert "40 of 40 answers end early, at max_model_len, 520 tokens." in capsys.readouterr().out


def test_a_synthetic_load_is_named_in_the_result(small, capsys):
    load = "workload={arrivals: {process: synthetic, preset: azure-conv-like, rate: 5}, num_requests: 20}"
    assert execute(["run", str(small), "--set", load, "--json", "-"]) == 0
    assert any("synthetic" in note for note in json.loads(capsys.readouterr().out)["notes"])


@pytest.mark.parametrize("room", ["models", "hardware"])
def test_names_in_a_list_can_be_read_in_full(room, capsys):
    assert execute([room, "list", "--json", "-"]) == 0
    written, shown = capsys.readouterr()
    names = [entry["name"] for entry in json.loads(written)]
    assert names
    assert [name for name in names if name not in shown.split()] == []


def test_every_recorded_scheduler_case_is_reproduced_exactly_by_the_engine_of_run(shared, capsys):
    cases = sorted((shared / "conformance" / "open").glob("*.json.gz"))
    assert cases
    assert execute(["validate", "scheduler", *map(str, cases), "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "version": sim.__version__,
        "cases": len(cases),
        "identical": len(cases),
        "differing": [],
    }


def test_dedicated_options_are_overrides_too(small, capsys):
    assert execute(["run", str(small), "--fidelity", "roofline", "--seed", "3", "--json", "-"]) == 0
    fast = json.loads(capsys.readouterr().out)
    assert execute(["run", str(small), "--set", "seed=3", "--json", "-"]) == 0
    slow = json.loads(capsys.readouterr().out)
    assert fast["mean_tpot_ms"] < slow["mean_tpot_ms"]


def test_explain_prices_every_operator_of_a_step(capsys):
    assert execute(["explain", EXAMPLE, "--decode", "32", "--context", "2048", "--json", "-"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["light_s"] <= record["serial_s"] <= record["total_s"]
    assert sum(o["time"] for o in record["operators"]) == pytest.approx(record["total_s"])
    assert record["tokens_per_s_per_user"] == pytest.approx(1 / record["total_s"])


@pytest.mark.parametrize("verb", ["run", "explain"])
def test_an_html_page_needs_nothing_from_elsewhere(verb, small, tmp_path):
    page = tmp_path / "page.html"
    assert execute([verb, str(small), "--html", str(page)]) == 0
    text = page.read_text()
    assert text.lstrip().lower().startswith("<!doctype html>")
    assert 'src="http' not in text


@pytest.mark.parametrize("room", ["hardware", "models"])
def test_a_catalogue_is_listed_and_each_entry_can_be_shown(room, capsys):
    assert execute([room, "list", "--json", "-"]) == 0
    entries = json.loads(capsys.readouterr().out)
    assert len(entries) > 15
    assert {entry["version"] for entry in entries} == {sim.__version__}
    assert execute([room, "show", entries[0]["name"], "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out) == entries[0]


def test_hardware_show_prints_basis_and_range(capsys):
    assert execute(["hardware", "show", "rebel100"]) == 0
    out = capsys.readouterr().out
    assert "memory.bandwidth" in out
    assert "…" in out
    assert "assumption" in out


def test_a_users_own_chip_is_checked(tmp_path, capsys):
    template = ROOT / "hardware_profiles" / "chips" / "npu-template.yaml"
    own = tmp_path / "own.yaml"
    own.write_text(template.read_text())
    assert execute(["hardware", "check", str(own)]) == 0
    assert "valid chip" in capsys.readouterr().out
    own.write_text(template.read_text().replace("\n  bandwidth:", "\n  bandwith:", 1))
    assert execute(["hardware", "check", str(own)]) == 2
    assert "own.yaml" in capsys.readouterr().err


def test_models_show_gives_the_exact_parameter_count(capsys):
    assert execute(["models", "show", "ax-k1"]) == 0
    assert "518,983,059,456" in capsys.readouterr().out


LLAMA = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "num_key_value_heads": 32,
    "vocab_size": 32000,
    "max_position_embeddings": 4096,
    "tie_word_embeddings": False,
}


def test_a_hugging_face_config_is_understood_or_refused_by_name(tmp_path, capsys):
    config = tmp_path / "config.json"
    config.write_text(json.dumps(LLAMA))
    assert execute(["models", "check", str(config), "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["total_params"] == 6_738_415_616
    config.write_text(json.dumps(LLAMA | {"architectures": ["RetroForCausalLM"]}))
    assert execute(["models", "check", str(config)]) == 2
    assert "RetroForCausalLM" in capsys.readouterr().err


def test_models_with_recurrent_layers_show_their_state(capsys):
    assert execute(["models", "show", "qwen3-next-80b-a3b"]) == 0
    assert "Recurrent state" in capsys.readouterr().out


def test_the_version_is_printed():
    done = run_python("-c", "from sim.cli import main; main()", "--version")
    assert done.stdout.strip() == f"bandwall {sim.__version__}"
    assert done.returncode == 0


def test_the_schema_is_printed(capsys):
    assert execute(["schema"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "Bandwall scenario"


def test_a_closed_pipe_ends_quietly(small):
    command = f"{sys.executable} -c 'from sim.cli import main; main()' run {small} --json - | head -c 10"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command,
        shell=True,
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["rnu"], "run"),
        (["run"], "SCENARIO"),
        (["run", "x.yaml", "--jsn", "y"], "--json"),
        (["explain", EXAMPLE, "--decode", "many"], "--decode"),
        (["hardware", "show", "h2000"], "did you mean 'h200'"),
        (["models", "show", "ax-k7"], "did you mean 'ax-k"),
    ],
)
def test_a_wrong_command_line_is_one_sentence_with_exit_code_two(arguments, part, capsys):
    assert execute(arguments) == 2
    error = capsys.readouterr().err
    assert part in error
    assert len(error.strip().splitlines()) == 1


def test_a_step_is_explained_at_event_fidelity_and_runs_at_it(small: Path, tmp_path: Path) -> None:
    shown = tmp_path / "step.json"
    assert execute(["explain", str(small), "--fidelity", "event", "--json", str(shown)]) == 0
    step = json.loads(shown.read_text())
    assert step["fidelity"] == "event"
    assert step["total_s"] == pytest.approx(sum(o["time"] for o in step["operators"]))
    result = tmp_path / "run.json"
    assert execute(["run", str(small), "--fidelity", "event", "--json", str(result)]) == 0
    assert json.loads(result.read_text())["completed"] > 0


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        (
            ["--set", "deployment.overlap=two-batch", "--fidelity", "event"],
            "give none, or experts with dp > 1",
        ),
        (["--set", "deployment.overlap=two-batches"], "'single-batch' or 'two-batch'"),
        (["--whole-model"], "--whole-model: fidelity analytic simulates no layer; give event"),
    ],
)
def test_an_overlap_or_a_simulation_that_cannot_be_is_refused(
    small: Path, sets: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["explain", str(small), *sets]) == 2
    assert said in capsys.readouterr().err


def test_hardware_check_remarks_on_what_looks_like_a_slip(tmp_path, capsys):
    shipped = (Path(__file__).parents[1] / "examples" / "own-npu" / "npu.yaml").read_text()
    (tmp_path / "npu.yaml").write_text(shipped.replace("fp8: 1 PFLOP/s", "fp8: 9 PFLOP/s"))
    assert execute(["hardware", "check", str(tmp_path / "npu.yaml")]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Note: " in said
    assert "more than four times" in said

"""Whatever a user gets wrong ends with exit code 2, one clear sentence and no half-written file."""

import os
from pathlib import Path

import pytest

from sim.cli import execute

SCENARIO = """\
schema: 1
model: llama-3.1-8b
cluster: h100-hgx
deployment:
  precision: {weights: bf16, activations: bf16, kv_cache: bf16}
  parallel: {tp: 1}
  engine: {max_num_seqs: 64}
workload:
  arrivals: {process: poisson, rate: 4.0}
  prompt_tokens: {distribution: constant, value: 128}
  output_tokens: {distribution: constant, value: 8}
  num_requests: 10
slo: {ttft: 1 s, tpot: 50 ms}
"""

# what is replaced, by what, and what the sentence must name
MISTAKES = [
    ("model: llama-3.1-8b", "model: lama-3.1-8b", ["lama-3.1-8b", "llama-3.1-8b"]),
    ("cluster: h100-hgx", "cluster: h100hgx", ["h100hgx", "did you mean 'h100-hgx'"]),
    ("cluster: h100-hgx", "cluster: ./mine.yaml", ["mine.yaml"]),
    ("cluster: h100-hgx", "cluster: h100-hgx\ncluster: h200-hgx", [":4", "cluster", "twice"]),
    ("workload:", "workloda:", [":8", "workloda", "workload"]),
    ("weights: bf16", "weights: fp7", [":5", "precision.weights", "fp7", "fp8"]),
    ("max_num_seqs", "max_num_seq", [":7", "max_num_seq", "max_num_seqs"]),
    ("tp: 1", "tp: 0", [":6", "parallel.tp", "0"]),
    ("tp: 1", "tp: 2.5", [":6", "parallel.tp", "2.5"]),
    ("tp: 1", "tp: true", [":6", "parallel.tp: found true"]),
    ("constant, value: 8", "empirical, values: []", [":11", "values: found a list of 0", "at least 1"]),
    ("constant, value: 8", "normal, mean: 9, cv: 0.1, min: 500", [":11", "is 500 or more"]),
    ("tp: 1", "tp: 3", [":6", "parallel.tp", "3"]),
    ("tp: 1", "tp: 16", [":6", "16", "h100-hgx", "8"]),
    ("tp: 1", "tp: 1, dcp: 2", [":6", "dcp"]),
    ("activations: bf16", "activations: fp4", ["fp4", "h100", "bf16"]),
    ("process: poisson", "process: poison", [":9", "poison", "did you mean 'poisson'"]),
    ("rate: 4.0", "rate: -4.0", [":9", "rate", "-4"]),
    ("rate: 4.0", "rate: .nan", [":9", "rate", "nan"]),
    ("rate: 4.0", "rate: .inf", [":9", "rate", "inf"]),
    ("rate: 4.0", "rate: fast", [":9", "rate", "fast"]),
    ("num_requests: 10", "num_requests: 0", [":12", "num_requests", "0"]),
    ("distribution: constant, value: 128", "distribution: normally, value: 128", [":10", "normally"]),
    ("value: 128", "value: -5", [":10", "-5"]),
    ("ttft: 1 s", "ttft: 1 m", [":13", "ttft", "1 m"]),
    ("ttft: 1 s", "ttft: 1", [":13", "ttft", "unit"]),
    ("ttft: 1 s", "ttft: 1 GB", [":13", "ttft", "1 GB"]),
    ("slo:", "router: roundrobin\nslo:", [":13", "router", "round_robin"]),
    ("slo:", "fidelity: exact\nslo:", [":13", "fidelity", "analytic"]),
    ("slo:", "seed: -1\nslo:", [":13", "seed", "-1"]),
    ("schema: 1", "schema: 2", [":1", "schema", "2"]),
    ("schema: 1", "schema: 1\n  model: x", ["not valid YAML"]),
    ("model: llama-3.1-8b\n", "", ["'model' is missing"]),
]


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one sentence with which a command line is refused."""
    assert execute(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.strip().splitlines()) == 1, captured.err
    assert "Traceback" not in captured.err
    return captured.err


@pytest.mark.parametrize(("found", "mistake", "named"), MISTAKES, ids=[m[1][:40] for m in MISTAKES])
def test_a_mistake_in_a_scenario_is_named_with_file_line_and_what_is_allowed(
    found, mistake, named, tmp_path, capsys
):
    assert found in SCENARIO
    path = tmp_path / "mine.scenario.yaml"
    path.write_text(SCENARIO.replace(found, mistake, 1))
    target = tmp_path / "result.json"
    sentence = refused(["run", str(path), "--json", str(target)], capsys)
    for part in ["mine.scenario.yaml", *named]:
        assert part in sentence
    assert list(tmp_path.iterdir()) == [path]


def test_the_scenario_itself_is_right(tmp_path):
    path = tmp_path / "right.yaml"
    path.write_text(SCENARIO)
    assert execute(["run", str(path)]) == 0


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"", "empty"),
        (b"# nothing\n", "only comments"),
        (b"- a\n- b\n", "mapping"),
        (b"just words\n", "mapping"),
        (b"\xff\xfe\x00", "UTF-8"),
        (b"model: &a x\ncluster: *a\n", "anchors"),
        (b"{", "not valid YAML"),
    ],
)
def test_a_file_that_is_no_scenario_is_refused(content, named, tmp_path, capsys):
    path = tmp_path / "odd.yaml"
    path.write_bytes(content)
    sentence = refused(["run", str(path)], capsys)
    assert named in sentence
    assert "odd.yaml" in sentence


def test_files_that_cannot_be_read_or_written_are_named(tmp_path, capsys):
    assert "absent.yaml" in refused(["run", str(tmp_path / "absent.yaml")], capsys)
    assert str(tmp_path) in refused(["run", str(tmp_path)], capsys)
    path = tmp_path / "right.yaml"
    path.write_text(SCENARIO)
    sentence = refused(["run", str(path), "--json", str(tmp_path / "no" / "folder.json")], capsys)
    assert "folder.json" in sentence


def test_a_requests_table_of_unknown_format_is_refused(tmp_path, capsys):
    path = tmp_path / "right.yaml"
    path.write_text(SCENARIO)
    assert ".xlsx" in refused(["run", str(path), "--requests", str(tmp_path / "table.xlsx")], capsys)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--html", "no/page.html"], "no folder"),
        (["--html", "folder"], "folder"),
        (["--html", "-"], "only --json"),
        (["--requests", "-"], "only --json"),
        (["--requests", "table"], ".csv or .parquet"),
        (["--requests", "same.csv", "--html", "same.csv"], "another output"),
        (["--html", "right.yaml"], "the scenario itself"),
        (["--resolved", "right.yaml"], "the scenario itself"),
    ],
)
def test_outputs_that_cannot_all_be_written_are_refused_before_any_is(
    options, named, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "right.yaml").write_text(SCENARIO)
    (tmp_path / "folder").mkdir()
    assert named in refused(["run", "right.yaml", "--json", "result.json", *options], capsys)
    assert {path.name for path in tmp_path.iterdir()} == {"right.yaml", "folder"}
    assert (tmp_path / "right.yaml").read_text() == SCENARIO


def test_several_outputs_may_be_thrown_away(tmp_path, capsys):
    path = tmp_path / "right.yaml"
    path.write_text(SCENARIO)
    assert execute(["explain", str(path), "--json", os.devnull, "--html", os.devnull]) == 0


TRACES = [
    ("", "empty"),
    ("arrival_s,prompt_tokens,output_tokens\n", "no request"),
    ("arrival_s,prompt_tokens\n0.0,5\n", "output_tokens"),
    ("arrival_s,prompt_tokens,output_tokens\n0.0,5,7\n1.0,many,7\n", ":3"),
    ("arrival_s,prompt_tokens,output_tokens\n0.0,5,7\n1.0,5\n", ":3"),
    ("arrival_s,prompt_tokens,output_tokens\n0.0,5,7\nnan,5,7\n", ":3"),
    ("arrival_s,prompt_tokens,output_tokens\n0.0,5,7\n1.0,-5,7\n", ":3"),
]


@pytest.mark.parametrize(("trace", "named"), TRACES)
def test_a_malformed_trace_is_named_with_its_line(trace, named, tmp_path, capsys):
    (tmp_path / "trace.csv").write_text(trace)
    path = tmp_path / "traced.yaml"
    head = SCENARIO.split("workload:")[0]
    path.write_text(head + "workload:\n  arrivals: {process: trace, path: trace.csv, format: csv}\n")
    sentence = refused(["run", str(path)], capsys)
    assert "trace.csv" in sentence
    assert named in sentence


def test_a_deployment_that_does_not_fit_says_by_how_much_and_what_would(tmp_path, capsys):
    path = tmp_path / "big.yaml"
    path.write_text(SCENARIO.replace("llama-3.1-8b", "ax-k1").replace("tp: 1", "tp: 8, ep: 8"))
    sentence = refused(["run", str(path)], capsys)
    assert "GB" in sentence or "GiB" in sentence
    assert "fit" in sentence


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("cluster.chip.memory.bandwith=6TB/s", "did you mean 'bandwidth'"),
        ("cluster.chip.memory.bandwidth=6 GB", "6 GB"),
        ("cluster.chip.memory.bandwidth=-6 TB/s", "negative"),
        ("cluster.chip.memory.device=HBM33", "did you mean 'HBM3'"),
        ("cluster=h900-hgx", "did you mean"),
        ("deployment.parallel.tp=zwei", "zwei"),
        ("seed", "PATH=VALUE"),
    ],
)
def test_a_wrong_override_is_quoted(override, named, tmp_path, capsys):
    path = tmp_path / "right.yaml"
    path.write_text(SCENARIO)
    sentence = refused(["run", str(path), "--set", override], capsys)
    assert named in sentence


@pytest.mark.parametrize(
    ("step", "named"),
    [
        (["--decode", "0"], "at least one token"),
        (["--decode", "-3"], "negative"),
        (["--decode", "100"], "max_num_seqs"),
        (["--decode", "64", "--context", "10000000"], "KV cache"),
        (["--prefill", "1000000"], "max_num_batched_tokens"),
        (["--prefix", "100"], "--prefill"),
    ],
)
def test_a_step_that_cannot_be_is_refused(step, named, tmp_path, capsys):
    path = tmp_path / "right.yaml"
    path.write_text(SCENARIO)
    assert named in refused(["explain", str(path), *step], capsys)


def test_a_users_own_cluster_with_a_mistake_is_named_with_its_own_line(tmp_path, capsys):
    from sim.hardware import read_cluster
    from sim.scenario.yaml_text import yaml_text

    tree = read_cluster("h100-hgx", None)
    text = yaml_text(tree).replace("domain:", "domian:", 1)
    (tmp_path / "own.yaml").write_text(text)
    line = next(i for i, one in enumerate(text.splitlines(), 1) if "domian" in one)
    path = tmp_path / "mine.yaml"
    path.write_text(SCENARIO.replace("cluster: h100-hgx", "cluster: ./own.yaml"))
    sentence = refused(["run", str(path)], capsys)
    assert f"own.yaml:{line}" in sentence
    assert "did you mean 'domain'" in sentence


def test_a_failed_run_leaves_an_earlier_result_untouched(tmp_path, capsys):
    path, target = tmp_path / "right.yaml", tmp_path / "result.json"
    path.write_text(SCENARIO)
    assert execute(["run", str(path), "--json", str(target)]) == 0
    before = target.read_bytes()
    capsys.readouterr()
    refused(["run", str(path), "--set", "deployment.parallel.tp=3", "--json", str(target)], capsys)
    assert target.read_bytes() == before
    assert not [p for p in Path(tmp_path).iterdir() if p.name.startswith(".")]

"""Reading a scenario: short and general form, inlining, overrides of names, the resolved tree."""

import pytest

import sim
from sim.errors import UserError

SHORT = """\
model: llama-3.1-8b
cluster: h100-hgx
deployment:
  engine: {max_num_seqs: 64}
workload:
  arrivals: {process: poisson, rate: 4.0}
  prompt_tokens: {distribution: constant, value: 128}
  output_tokens: {distribution: constant, value: 8}
  num_requests: 10
"""
GENERAL = """\
pools:
  - name: only
    role: both
    model: llama-3.1-8b
    cluster: h100-hgx
    deployment:
      engine: {max_num_seqs: 64}
clients:
  - name: everyone
    share: 1.0
    arrivals: {process: poisson, rate: 4.0}
    prompt_tokens: {distribution: constant, value: 128}
    output_tokens: {distribution: constant, value: 8}
workload: {num_requests: 10}
"""


@pytest.fixture
def written(tmp_path):
    def write(text: str, name: str = "it.yaml"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def test_one_pool_and_one_client_mean_the_short_form(written):
    assert sim.load(written(GENERAL)).spec == sim.load(written(SHORT)).spec


@pytest.mark.parametrize(
    ("found", "instead", "named"),
    [
        ("pools:\n", "pools:\n  - {model: x, cluster: y}\n", "pools: two pools are"),
        ("role: both", "role: prefill", "role 'prefill'"),
        ("role: both", "rule: both", "did you mean 'role'"),
        ("clients:\n", "cluster: a100-hgx\nclients:\n", "second time"),
        ("max_num_seqs", "max_num_seq", ":7: deployment.engine"),
        ("poisson", "poison", ":11: workload.arrivals"),
    ],
)
def test_the_general_form_is_refused_with_its_own_lines(found, instead, named, written):
    with pytest.raises(UserError) as refused:
        sim.load(written(GENERAL.replace(found, instead, 1)))
    assert named in str(refused.value)


def test_the_resolved_tree_is_a_scenario_that_names_nothing(written, tmp_path):
    first = sim.load(written(SHORT))
    first.write_resolved(tmp_path / "resolved.yaml")
    again = sim.load(tmp_path / "resolved.yaml")
    assert again.spec == first.spec
    assert again.resolved_text() == first.resolved_text()
    assert isinstance(again.tree["model"], dict)
    assert isinstance(again.tree["cluster"]["chip"], dict)


def test_the_resolved_tree_shows_the_defaults_that_were_used(written):
    tree = sim.load(written(SHORT)).tree
    assert tree["deployment"]["engine"]["block_size"] == 16
    assert tree["deployment"]["parallel"]["tp"] == 1
    assert (tree["router"], tree["fidelity"], tree["seed"]) == ("round_robin", "analytic", 0)


def test_a_resolved_scenario_finds_its_trace_from_another_folder(written, tmp_path):
    (tmp_path / "trace.csv").write_text("arrival_s,prompt_tokens,output_tokens\n0.0,10,2\n0.5,10,2\n")
    head = SHORT.split("workload:")[0]
    path = written(head + "workload:\n  arrivals: {process: trace, path: trace.csv, format: csv}\n")
    elsewhere = tmp_path / "results" / "here"
    elsewhere.mkdir(parents=True)
    scenario = sim.load(path)
    scenario.write_resolved(elsewhere / "resolved.yaml")
    first, again = sim.simulate(scenario), sim.simulate(sim.load(elsewhere / "resolved.yaml"))
    assert first.to_json() == again.to_json()


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("model=llama-2-7b", ("model", "name"), "llama-2-7b"),
        ("cluster=a100-hgx", ("cluster", "chip", "name"), "a100"),
        ("cluster.chip=h200", ("cluster", "chip", "name"), "h200"),
    ],
)
def test_an_override_may_name_another_model_cluster_or_chip(override, path, value, written):
    node = sim.load(written(SHORT), [override]).tree
    for key in path:
        node = node[key]
    assert node == value


def test_another_engine_version_brings_its_own_table_under_what_is_stated(written):
    engine = sim.load(written(SHORT), ["deployment.engine.version=0.12"]).tree["deployment"]["engine"]
    assert engine["version"] == "0.12"
    assert engine["async_scheduling"] is False
    assert engine["max_num_seqs"] == 64


def test_an_overridden_figure_is_shown_among_the_assumptions(written):
    scenario = sim.load(written(SHORT), ["cluster.chip.memory.bandwidth=6TB/s"])
    outcome = sim.simulate(scenario)
    changed = [a for a in outcome.summary.assumptions if a.source == "--set"]
    assert [a.path for a in changed] == ["cluster.chip.memory.bandwidth"]
    assert outcome.deployment.cluster.chip.memory.bandwidth == 6e12


def test_more_bandwidth_never_lengthens_a_decode_step(written):
    path = written(SHORT)
    times = [
        sim.explain(sim.load(path, [f"cluster.chip.memory.bandwidth=x{x}"]), decode=8).step.total
        for x in (0.5, 1.0, 2.0)
    ]
    assert times == sorted(times, reverse=True)


def test_a_mistake_of_the_file_is_told_by_its_line_even_with_overrides(written):
    with pytest.raises(UserError, match=r"it\.yaml:4: deployment\.engine"):
        sim.load(written(SHORT.replace("max_num_seqs", "max_num_seq")), ["seed=3"])


def test_the_same_seed_gives_the_same_record_and_another_seed_another(written):
    path = written(SHORT)
    records = [sim.simulate(sim.load(path, [f"seed={seed}"])).to_json() for seed in (1, 1, 2)]
    assert records[0] == records[1] != records[2]

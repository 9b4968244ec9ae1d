"""Any mutation of a valid scenario ends in a result or in one clear sentence, never in a traceback."""

import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import sim
from sim import UserError, documents
from sim.scenario.yaml_text import yaml_text

BASE = """\
schema: 1
model: llama-3.1-8b
cluster: h100-hgx
deployment:
  precision: {weights: bf16, activations: bf16, kv_cache: bf16}
  parallel: {tp: 2, pp: 1, dp: 1, ep: 1}
  replicas: 2
  engine: {max_num_seqs: 16, max_num_batched_tokens: 512, block_size: 16, enable_prefix_caching: true}
router: least_outstanding
workload:
  arrivals: {process: gamma, rate: 4.0, cv: 2.0}
  prompt_tokens: {distribution: lognormal, mean: 256, cv: 0.8}
  output_tokens: {distribution: uniform, low: 4, high: 16}
  num_requests: 12
slo: {ttft: 1 s, tpot: 50 ms, attainment: 0.9}
fidelity: analytic
seed: 5
"""
TREE: dict[str, Any] = documents.parse(BASE, "base.yaml").tree  # type: ignore[assignment]

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 70000),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(
        ["2 s", "4.8 tb/s", "5 m", "-1 s", "nan s", "1e999 s", "./x.yaml", "x/y", "fp4", "ax-k1"]
    ),
    st.sampled_from([[], {}, [1], {"value": 1}, {"value": "2 s", "low": "3 s", "high": "1 s"}]),
)


def paths(tree: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    if isinstance(tree, dict):
        return [path, *(p for key, value in tree.items() for p in paths(value, (*path, key)))]
    return [path]


PATHS = [path for path in paths(TREE) if path]


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    """The base with up to three places dropped, misspelt, duplicated under another name or replaced."""
    tree = copy.deepcopy(TREE)
    for _ in range(draw(st.integers(1, 3))):
        *parents, key = draw(st.sampled_from(PATHS))
        node: Any = tree
        for parent in parents:
            node = node.get(parent) if isinstance(node, dict) else None
        if not isinstance(node, dict) or key not in node:
            continue
        how = draw(st.sampled_from(["drop", "misspell", "replace", "replace", "replace"]))
        value = node.pop(key)
        if how == "misspell":
            node[str(key)[:-1] or "x"] = value
        elif how == "replace":
            node[key] = draw(ODD)
    return tree


def result_or_sentence(path: Path, sets: list[str] = []) -> None:  # noqa: B006 - never changed
    try:
        scenario = sim.load(path, sets)
        if scenario.spec.workload.num_requests and scenario.spec.workload.num_requests > 1000:
            return
        record = sim.simulate(scenario).to_json()
    except UserError as error:
        sentence = str(error)
        assert sentence
        assert "\n" not in sentence
        assert "Traceback" not in sentence
    else:
        assert record["num_prompts"]


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mutated())
def test_a_mutated_scenario_gives_a_result_or_a_sentence(tmp_path, tree):
    path = tmp_path / "mutated.yaml"
    path.write_text(yaml_text(tree))
    result_or_sentence(path)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_scenario_with_damaged_text_gives_a_result_or_a_sentence(tmp_path, data):
    start = data.draw(st.integers(0, len(BASE)))
    length = data.draw(st.integers(0, 12))
    junk = data.draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=6))
    path = tmp_path / "damaged.yaml"
    path.write_text(BASE[:start] + junk + BASE[start + length :], encoding="utf-8")
    result_or_sentence(path)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(PATHS), value=st.one_of(ODD.map(str), st.just("x1.5"), st.text(max_size=10)))
def test_any_override_gives_a_result_or_a_sentence(tmp_path, path, value):
    file = tmp_path / "base.yaml"
    file.write_text(BASE)
    result_or_sentence(file, [f"{'.'.join(map(str, path))}={value}"])


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_any_trace_gives_a_result_or_a_sentence(tmp_path, content):
    (tmp_path / "trace.csv").write_bytes(b"arrival_s,prompt_tokens,output_tokens\n0,5,2\n" + content)
    tree = TREE | {"workload": {"arrivals": {"process": "trace", "path": "trace.csv", "format": "csv"}}}
    path = tmp_path / "traced.yaml"
    path.write_text(yaml_text(tree))
    result_or_sentence(path)


def test_the_base_itself_gives_a_result(tmp_path):
    path = tmp_path / "base.yaml"
    path.write_text(BASE)
    assert sim.simulate(sim.load(path)).to_json()["completed"] == 12


@pytest.mark.parametrize("path", PATHS, ids=[".".join(map(str, p)) for p in PATHS])
def test_every_field_of_the_base_can_be_overridden_by_itself(tmp_path, path):
    file = tmp_path / "base.yaml"
    file.write_text(BASE)
    node: Any = TREE
    for key in path:
        node = node[key]
    text = yaml_text(node).strip().removesuffix("...").strip()
    assert sim.load(file, [f"{'.'.join(map(str, path))}={text}"]).spec == sim.load(file).spec

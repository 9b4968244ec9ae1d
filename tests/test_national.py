"""A country's load: its day, the groups that carry it, and what dividing a fleet does to its percentiles."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import sim
from sim.cli.app import app
from sim.errors import UserError
from sim.planning.national.day import day_of
from sim.planning.national.group import Fleet, Question, tried
from sim.planning.national.schema import NationalSpec, read_national
from sim.planning.national.splitting import group_of, split_errors, taken
from sim.workload import Requests, WorkloadSpec, generate

SMALL: dict[str, object] = {
    "scenario": {
        "model": "llama-3.1-8b",
        "cluster": "h100-hgx",
        "deployment": {"precision": {"weights": "fp8", "activations": "fp8"}},
        "router": "least_outstanding",
    },
    "services": [
        {
            "name": "voice",
            "daily_users": 1e6,
            "requests_per_user": 4,
            "curve": {"shape": "sinusoid", "peak": "21 h", "peak_to_mean": 1.8},
            "prompt_tokens": {"distribution": "lognormal", "mean": 100, "cv": 0.5},
            "output_tokens": {"distribution": "lognormal", "mean": 20, "cv": 0.5},
            "prefix": {"tokens": {"distribution": "constant", "value": 64}},
            "slo": {"ttft": "500 ms", "attainment": 0.95},
        },
        {
            "name": "office",
            "daily_users": 2e5,
            "requests_per_user": 20,
            "curve": {"shape": "points", "times": ["0 h", "12 h"], "factors": [0.2, 1.8]},
            "cv": 1.5,
            "prompt_tokens": {"distribution": "lognormal", "mean": 800, "cv": 0.5},
            "output_tokens": {"distribution": "lognormal", "mean": 40, "cv": 0.5},
            "slo": {"ttft": "1 s", "tpot": "30 ms", "attainment": 0.9},
        },
    ],
    "group": 2,
    "window": "2 s",
    "replications": 2,
    "tolerance": 0.4,
}


def written(folder: Path, **changes: object) -> Path:
    path = folder / "small.yaml"
    path.write_text(json.dumps(SMALL | changes))
    return path


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory):
    return sim.national(written(tmp_path_factory.mktemp("national")))


def test_the_answer_holds_every_bound_and_fewer_groups_would_not(result, tmp_path):
    assert all(service.meets for service in result.services)
    assert result.replicas == 2 * result.groups
    assert result.chips == result.replicas
    question = Question(read_national(written(tmp_path)), tmp_path, "small.yaml")
    load = question.scenario(1.0 / (0.5 * result.groups), result.peak, 0, result.spec.window)
    assert not tried(question, Fleet(load), load, result.spec.group).meets


def test_a_groups_stream_is_the_countrys_thinned(result):
    rates = result.rate / result.groups * result.spec.window
    assert result.simulated == pytest.approx(rates, rel=0.3)
    assert result.stands_for == result.simulated * result.groups


def test_the_peaks_are_those_of_prompts_and_of_answers(tmp_path):
    spec = NationalSpec.model_validate(SMALL)
    sample = Requests(
        arrival=np.zeros(2), prompt_tokens=np.array([1, 1000]), output_tokens=np.array([500, 1]),
        client=np.array([0, 1]), clients=("voice", "office"),
    )  # fmt: skip
    day = day_of(spec, sample)
    assert day.peaks == (12 * 3600.0, 21 * 3600.0)  # prompts at noon, answers in the evening
    assert day.rates.sum(axis=0).mean() == pytest.approx(8e6 / 86400, rel=1e-3)
    assert day.rate_at(12 * 3600.0) == pytest.approx(day.rates[:, 144].sum())


def test_a_fleet_in_one_group_has_no_error_and_its_parts_hold_every_request(tmp_path):
    question = Question(read_national(written(tmp_path)), tmp_path, "small.yaml")
    load = question.scenario(0.02, 0.0, 0, 20.0)
    fleet = Fleet(load)
    requests = generate(load.spec.workload, 0, tmp_path)
    whole = fleet.serve(requests, 4, 0).requests
    again = fleet.serve(taken(requests, np.arange(len(requests))), 4, 0).requests
    for field in dataclasses.fields(whole):
        np.testing.assert_array_equal(getattr(whole, field.name), getattr(again, field.name))


def test_more_groups_never_make_first_tokens_come_much_sooner(tmp_path):
    """Pooling helps: divided, some group waits while another has room."""
    question = Question(read_national(written(tmp_path)), tmp_path, "small.yaml")
    loads = [question.scenario(0.5, 12 * 3600.0, seed, 10.0) for seed in range(2)]
    errors = {(e.split, e.groups): e for e in split_errors(Fleet(loads[0]), loads, 16)}
    assert len(errors) == 6
    assert errors["random", 8].errors["ttft"].mean > -0.1
    assert errors["random", 8].errors["ttft"].mean >= errors["random", 2].errors["ttft"].mean - 0.05


def agents(seed: int) -> Requests:
    tree = {
        "arrivals": {
            "process": "sessions",
            "starts": {"process": "poisson", "rate": 1.0},
            "turns": {"distribution": "uniform", "low": 1, "high": 4},
            "pause": {"mean": "1 s"},
        },
        "prompt_tokens": {"distribution": "constant", "value": 9},
        "output_tokens": {"distribution": "constant", "value": 9},
        "num_requests": 80,
    }
    return generate(WorkloadSpec.model_validate(tree), seed)


@given(st.integers(0, 99), st.sampled_from(["random", "round_robin"]), st.sampled_from([2, 4, 8]))
def test_sessions_stay_together_and_nobody_is_in_two_groups(seed: int, split, groups: int):
    requests = agents(seed)
    group = group_of(requests, split, groups, seed)
    for session in range(int(requests.session.max()) + 1):
        assert len(set(group[requests.session == session].tolist())) == 1
    parts = [taken(requests, np.flatnonzero(group == place)) for place in range(groups)]
    assert sum(map(len, parts)) == len(requests)
    assert requests.follows is not None
    assert sum(len(p.follows.request) for p in parts if p.follows) == len(requests.follows.request)
    for part in parts:
        assert part.follows is not None
        assert (part.session[part.follows.request] == part.session[part.follows.before]).all()


def test_round_robin_groups_are_as_equal_as_can_be():
    requests = Requests(np.arange(10.0), np.ones(10, np.int64), np.ones(10, np.int64))
    assert group_of(requests, "round_robin", 4, 0).tolist() == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]


def test_the_command_prints_writes_and_repeats(result, tmp_path):
    path, record, page = written(tmp_path), tmp_path / "out.json", tmp_path / "out.html"
    replica = tmp_path / "replica.yaml"
    arguments = [
        "national",
        str(path),
        "--json",
        str(record),
        "--html",
        str(page),
        "--scenario",
        str(replica),
    ]
    shown = CliRunner().invoke(app, arguments)
    assert shown.exit_code == 0, shown.output
    assert "replicas" in shown.output
    assert "MW" in shown.output
    found = json.loads(record.read_text())
    assert found == json.loads(json.dumps(result.to_json()))
    assert {entry["groups"] for entry in found["splitting"]} == {2, 4, 8}
    assert "What simulating by groups does" in page.read_text()
    assert sim.simulate(sim.load(replica)).summary.values["completed"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"scenario": {**SMALL["scenario"], "seed": 3}}, "'scenario.seed' cannot be given"),  # type: ignore[dict-item]
        ({"services": SMALL["services"] * 2}, "two services have the same name"),  # type: ignore[operator]
        ({"scenario": {"model": "llama-3.1-8", "cluster": "h100-hgx"}}, "did you mean 'llama-3.1-8b'"),
    ],
)
def test_what_is_wrong_is_one_sentence(tmp_path, changes: dict[str, object], says: str):
    with pytest.raises(UserError) as refused:
        sim.national(written(tmp_path, **changes))
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_bounds_that_no_load_meets_are_refused(tmp_path):
    services = [{**SMALL["services"][0], "slo": {"ttft": "1 ms"}}]  # type: ignore[index]
    with pytest.raises(UserError, match="does not meet every service's bounds even at"):
        sim.national(written(tmp_path, services=services))

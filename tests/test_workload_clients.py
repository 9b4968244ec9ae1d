"""Several kinds of users at once: each as it would be alone, all on one clock."""

import numpy as np
import pytest
from pydantic import ValidationError

import sim
from sim.errors import UserError
from sim.report import html_report
from sim.workload import WorkloadSpec, generate
from sim.workload.lengths.text import vocabularies
from sim.workload.mixture import seed_of

CHAT = {
    "name": "chat",
    "arrivals": {"process": "poisson", "rate": 3.0},
    "prompt_tokens": {"distribution": "lognormal", "mean": 300, "cv": 1.0},
    "output_tokens": {"distribution": "constant", "value": 20},
    "prefix": {"groups": 2, "tokens": {"distribution": "constant", "value": 64}},
}
CODE = {
    "name": "code",
    "arrivals": {"process": "gamma", "rate": 1.0, "cv": 2.0},
    "prompt_tokens": {"distribution": "constant", "value": 1000},
    "output_tokens": {"distribution": "constant", "value": 5},
    "priority": {"values": [3]},
}
AGENTS = {
    "name": "agents",
    "arrivals": {
        "process": "sessions",
        "starts": {"process": "poisson", "rate": 0.2},
        "turns": {"distribution": "constant", "value": 5},
        "pause": {"mean": "1 s"},
    },
    "prompt_tokens": {"distribution": "constant", "value": 100},
    "output_tokens": {"distribution": "constant", "value": 10},
}


def spec(*clients: dict[str, object], rate: float | None = None, **extent: object) -> WorkloadSpec:
    arrivals = {"process": "clients", "clients": list(clients), "rate": rate}
    return WorkloadSpec.model_validate({"arrivals": arrivals, **(extent or {"duration": "10 min"})})


def alone(client: dict[str, object], seed: int, **extent: object) -> WorkloadSpec:
    return WorkloadSpec.model_validate({k: v for k, v in client.items() if k != "name"} | extent)


def test_each_client_is_as_it_would_be_alone():
    together = generate(spec(CHAT, CODE, AGENTS), 5)
    assert together.clients == ("chat", "code", "agents")
    assert (np.diff(together.arrival) >= 0).all()
    for place, client in enumerate((CHAT, CODE, AGENTS)):
        single = generate(alone(client, 5, duration="10 min"), seed_of(5, str(client["name"])))
        mine = together.client == place
        np.testing.assert_array_equal(together.arrival[mine], single.arrival)
        np.testing.assert_array_equal(together.prompt_tokens[mine], single.prompt_tokens)
        np.testing.assert_array_equal(together.output_tokens[mine], single.output_tokens)


def test_content_is_shared_within_a_client_as_it_is_alone_and_never_between_two():
    together = generate(spec(CHAT, CODE, AGENTS), 5)
    assert together.pieces is not None
    segments: list[set[int]] = []
    for place in range(3):
        rows = np.flatnonzero(together.client == place).tolist()
        mine = [together.pieces[row] for row in rows]
        found = {s for pieces in mine for s, _ in pieces}
        segments.append(found | set(together.output_segment[rows].tolist()))
        assert [sum(n for _, n in pieces) for pieces in mine] == together.prompt_tokens[rows].tolist()
    assert not segments[0] & segments[1]
    assert not segments[1] & segments[2]
    assert not segments[0] & segments[2]
    single = generate(alone(CHAT, 5, duration="10 min"), seed_of(5, "chat"))
    assert single.pieces is not None
    rows = np.flatnonzero(together.client == 0).tolist()
    firsts = [pieces[0] for pieces in single.pieces]
    again = [together.pieces[row][0] for row in rows]
    for i in range(1, 40):
        assert (firsts[i] == firsts[0]) == (again[i] == again[0])


def test_turns_of_a_session_still_follow_their_own():
    together = generate(spec(CHAT, AGENTS), 5)
    assert together.follows is not None
    assert len(together.follows.request)
    same = together.session[together.follows.request] == together.session[together.follows.before]
    assert same.all()
    assert (together.follows.before < together.follows.request).all()


def test_a_priority_is_its_clients_and_nobody_elses():
    together = generate(spec(CHAT, CODE), 5)
    assert (together.priority == np.where(together.client == 1, 3, 0)).all()


def test_a_total_rate_scales_every_client_in_proportion():
    own, doubled = generate(spec(CHAT, CODE, AGENTS), 1), generate(spec(CHAT, CODE, AGENTS, rate=8.4), 1)
    for place in range(3):
        counts = [np.count_nonzero(r.client == place) for r in (own, doubled)]
        assert counts[1] / counts[0] == pytest.approx(2, rel=0.25)


def test_bursts_come_more_often_at_a_higher_total():
    burst = {**CODE, "name": "batch", "arrivals": {"process": "burst", "size": 10, "every": "10 s"}}
    own, doubled = generate(spec(CHAT, burst), 1), generate(spec(CHAT, burst, rate=8.0), 1)
    for place in range(2):
        counts = [np.count_nonzero(r.client == place) for r in (own, doubled)]
        assert counts[1] / counts[0] == pytest.approx(2, rel=0.1)


def test_bursty_clients_still_give_the_count_that_is_asked_for():
    rare = {**CODE, "arrivals": {"process": "gamma", "rate": 1.0, "cv": 30.0}}
    for seed in range(8):
        assert len(generate(spec(rare, num_requests=40), seed)) == 40


def test_priorities_of_the_workload_are_drawn_over_all_clients():
    both = spec(CHAT, AGENTS, duration="5 min", priority={"values": [1, 2]})
    assert set(generate(both, 0).priority.tolist()) == {1, 2}


def test_a_count_takes_the_first_of_all():
    longer, count = (
        generate(spec(CHAT, CODE, duration="30 min"), 2),
        generate(spec(CHAT, CODE, num_requests=500), 2),
    )
    assert len(count) == 500
    np.testing.assert_array_equal(count.arrival, longer.arrival[:500])
    np.testing.assert_array_equal(count.client, longer.client[:500])


@pytest.mark.parametrize(
    ("clients", "rate", "says"),
    [
        ((CHAT, CHAT), None, "two clients are named 'chat'"),
        (
            (CHAT, {**CODE, "arrivals": {"process": "closed", "concurrency": 3}}),
            None,
            "a closed loop cannot be",
        ),
        ((CHAT, {**CODE, "prompt_tokens": None}), None, "'prompt_tokens' is missing: gamma"),
        (
            (CHAT, {"name": "t", "arrivals": {"process": "trace", "path": "t.csv"}}),
            1.0,
            "have no rate that could",
        ),
    ],
)
def test_clients_that_do_not_fit_are_refused(clients: tuple[dict[str, object], ...], rate: float, says: str):
    with pytest.raises(ValidationError, match=says):
        spec(*clients, rate=rate)


SCENARIO = """\
model: llama-3.1-8b
cluster: h100-hgx
deployment: {precision: {weights: fp8, activations: fp8}, engine: {enable_prefix_caching: true}}
clients:
  - name: voice
    arrivals: {process: poisson, rate: 3.0}
    prompt_tokens: {distribution: constant, value: 100}
    output_tokens: {distribution: constant, value: 10}
  - name: agents
    arrivals:
      process: sessions
      starts: {process: poisson, rate: 0.3}
      turns: {distribution: constant, value: 4}
      pause: {mean: 500 ms}
    prompt_tokens: {distribution: constant, value: 400}
    output_tokens: {distribution: constant, value: 30}
workload: {duration: 60 s}
slo: {ttft: 5 s, tpot: 30 ms}
"""


def test_results_have_a_row_for_each_client(tmp_path):
    path = tmp_path / "it.yaml"
    path.write_text(SCENARIO)
    outcome = sim.simulate(sim.load(path))
    clients = outcome.summary.clients
    assert list(clients) == ["voice", "agents"]
    assert sum(int(c["num_prompts"]) for c in clients.values()) == outcome.summary.values["num_prompts"]
    assert "By client" in html_report(outcome)
    resolved = tmp_path / "resolved.yaml"
    outcome.scenario.write_resolved(resolved)
    assert sim.simulate(sim.load(resolved)).to_json() == outcome.to_json()
    fewer = sim.load(resolved, sets=["workload.arrivals.clients.0.arrivals.rate=1.0"])
    record = sim.simulate(fewer).summary.clients
    assert record["voice"]["num_prompts"] < clients["voice"]["num_prompts"] / 2
    assert record["agents"]["num_prompts"] == clients["agents"]["num_prompts"]


@pytest.mark.parametrize(
    ("found", "instead", "says"),
    [
        ("name: agents", "name: voice", "two clients are named 'voice'"),
        ("rate: 3.0", "rat: 3.0", ":6: workload.arrivals.clients.0.arrivals.rat: unknown"),
        ("workload: {", "workload: {arrivals: {process: poisson, rate: 1.0}, ", "beside the clients' own"),
        ("{duration: 60 s}", "{}", "'num_requests' or 'duration' is missing: clients"),
    ],
)
def test_what_is_wrong_with_clients_is_one_sentence(tmp_path, found: str, instead: str, says: str):
    path = tmp_path / "it.yaml"
    path.write_text(SCENARIO.replace(found, instead, 1))
    with pytest.raises(UserError) as refused:
        sim.simulate(sim.load(path))
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


# Texts in characters


def lengths(vocabulary: str, language: str = "korean") -> tuple[float, str]:
    tree = {
        "arrivals": {"process": "poisson", "rate": 1.0},
        "prompt_tokens": {
            "distribution": "text",
            "language": language,
            "vocabulary": vocabulary,
            "characters": {"distribution": "lognormal", "mean": 2000, "cv": 0.5},
        },
        "output_tokens": {"distribution": "constant", "value": 1},
        "num_requests": 20_000,
    }
    requests = generate(WorkloadSpec.model_validate(tree), 0)
    return float(requests.prompt_tokens.mean()), requests.synthetic


@pytest.mark.parametrize("vocabulary", vocabularies())
def test_tokens_are_characters_over_what_a_token_holds_and_the_result_says_so(vocabulary: str):
    mean, note = lengths(vocabulary)
    ratio = vocabularies()[vocabulary]["korean"]
    assert mean == pytest.approx(2000 / ratio.value, rel=0.02)
    assert ratio.low <= ratio.value <= ratio.high
    assert ratio.source.strip() in note


def test_korean_takes_fewest_tokens_in_the_vocabulary_trained_on_it():
    assert lengths("a.x")[0] < lengths("multilingual")[0] < lengths("english-trained")[0]


def test_a_vocabulary_that_nobody_knows_is_refused():
    with pytest.raises(ValidationError, match="unknown vocabulary 'ax'"):
        lengths("ax")

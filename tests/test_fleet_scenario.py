"""`fleet:` and `classes:` of a scenario: defaults, what they rest on, mistakes, what a run says."""

import io
from pathlib import Path

import numpy as np
import pytest
from small_scenario import write_small

import sim
from sim.cli.run_tables import print_outcome
from sim.errors import UserError
from sim.metrics.operation import replicas_up
from sim.models.accounting import total_params
from sim.scenario.prepared import prepare

FOUR = "deployment.replicas=4"


def load(folder: Path, *sets: str) -> sim.Scenario:
    return sim.load(write_small(folder), [FOUR, *sets])


def test_a_fleet_loads_the_bytes_of_its_model_through_its_servers_links(tmp_path):
    scenario = load(tmp_path, "fleet={}", "fleet.loading.link=10 GB/s")
    prepared = prepare(scenario)
    assert prepared.operation is not None
    loading, parameters = prepared.operation.loading, total_params(prepared.deployment.model)
    assert parameters < loading.size < 2 * parameters
    assert loading.link == 10e9
    assert {"fleet.loading.storage", "fleet.loading.startup"} <= set(prepared.figures)
    assert not any(path.startswith("fleet.failures") for path in prepared.figures)
    failing = prepare(load(tmp_path, "fleet={failures: {chip_mtbf: 100 h, node_mtbf: null}}"))
    assert failing.operation is not None
    assert failing.operation.failures.mtbf.keys() == {"chip", "link"}
    assert failing.operation.failures.mtbf["chip"] == 360_000.0


def test_the_resolved_fleet_is_a_scenario_that_gives_the_same_record(tmp_path):
    scenario = load(tmp_path, "fleet={autoscaling: {policy: queue, requests: 4}, failures: {}}")
    again = tmp_path / "again.yaml"
    scenario.write_resolved(again)
    assert sim.simulate(sim.load(again)).to_json() == sim.simulate(scenario).to_json()


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        (["fleet={weights: [1, 2]}", "router=weighted"], "2 weights for 4 replicas"),
        (["fleet={weights: [1, 2, 1, 1]}"], "router round_robin has no weights"),
        (["fleet={autoscaling: {policy: queue, requests: 4, least: 5}}"], "5 replicas are asked for"),
        (["fleet={autoscaling: {policy: queue, requests: 4, least: 3, first: 2}}"], "fewer than the 3"),
        (["fleet={failures: {script: [{at: 1 s, kind: node, place: 1}]}}"], "1 is not one of 1 nodes"),
        (
            ["fleet={slowdowns: [{kind: foreseen, replica: 4, factor: 2, start: 0 s, duration: 1 s}]}"],
            "4 is not one of 4",
        ),
        (["fleet={gateway: {order: fair}}"], "'outstanding' is missing"),
        (["fleet={gateway: {admission: {policy: deadline, wait: 1 s}}}"], "'outstanding' is missing"),
        (["fleet={autoscaling: {policy: guess}}"], "queue"),
        (["fleet=7"], "fleet"),
        (["classes=[{name: a}]"], "classes.0.share: missing"),
        (["classes=[{name: a, share: 1}, {name: a, share: 1}]"], "a name occurs twice"),
        (
            ["classes=[{name: a, share: 1, priority: 1}]", "workload.priority={values: [1, 2]}"],
            "priorities are given by the workload already",
        ),
    ],
)
def test_a_mistake_is_one_sentence_that_names_it(sets, said, tmp_path):
    with pytest.raises(UserError) as error:
        sim.simulate(load(tmp_path, *sets))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_fleet_of_two_pools_is_not_operated():
    example = Path(__file__).parents[1] / "examples" / "ax-k1-pd-h200-rebel100.yaml"
    with pytest.raises(UserError, match="two pools is not operated"):
        sim.simulate(sim.load(example, ["fleet={}"]))


def test_each_class_has_its_share_and_its_own_bounds(tmp_path):
    scenario = load(
        tmp_path,
        "classes=[{name: fast, share: 3, slo: {ttft: 1 us}}, {name: slow, share: 1, priority: 2}]",
        "workload.num_requests=400",
    )
    outcome = sim.simulate(scenario)
    fast, slow = (outcome.summary.clients[name] for name in ("fast", "slow"))
    assert fast["num_prompts"] == pytest.approx(300, abs=40)
    assert fast["slo_attainment"] == 0.0
    assert slow["slo_attainment"] == 1.0
    assert slow["meets_slo"]
    assert not outcome.summary.values["meets_slo"]
    assert outcome.summary.values["slo_attainment"] == pytest.approx(slow["num_prompts"] / 400)


def test_classes_name_the_clients_of_a_workload(tmp_path):
    asks = (
        "arrivals: {process: burst, size: 150, every: 1 h},"
        " prompt_tokens: {distribution: constant, value: 400},"
        " output_tokens: {distribution: constant, value: 20}"
    )
    clients = [f"{{name: {name}, {asks}}}" for name in ("one", "two")]
    text = write_small(tmp_path).read_text().split("workload:")[0]
    path = tmp_path / "tenants.yaml"
    rest = "workload: {num_requests: 300}\nslo: {ttft: 9 s}\n"
    path.write_text(text + f"clients: [{', '.join(clients)}]\n" + rest)
    fair = "fleet={gateway: {outstanding: 4, order: fair}}"
    found = sim.simulate(sim.load(path, [fair, "classes=[{name: two, weight: 4}]"])).summary.clients
    assert found["two"]["mean_ttft_ms"] < 0.7 * found["one"]["mean_ttft_ms"]
    urgent = sim.simulate(sim.load(path, [fair, "classes=[{name: one, priority: 3}]"])).summary.clients
    assert urgent["two"]["p99_ttft_ms"] < urgent["one"]["p50_ttft_ms"]
    for sets, said in (
        ("classes=[{name: tow}]", "no client 'tow'.*two"),
        ("classes=[{name: two, share: 1}]", "the workload says which requests"),
    ):
        with pytest.raises(UserError, match=said):
            sim.simulate(sim.load(path, [sets]))


def test_a_run_says_what_became_of_its_fleet(tmp_path):
    scenario = load(
        tmp_path,
        "fleet={autoscaling: {policy: queue, requests: 2, interval: 1 s, delay: 1 s},"
        " loading: {startup: 1 s},"
        " failures: {script: [{at: 2 s, kind: chip, place: 0}], detection: 1 s, repair: 1 s},"
        " gateway: {admission: {policy: token_bucket, rate: 4, burst: 2}}}",
    )
    outcome = sim.simulate(scenario)
    values = outcome.summary.values
    assert values["failures"] == 1
    assert 0 < values["availability"] < 1
    assert values["completed"] + values["rejected_rate_limit"] == 40
    times, up = replicas_up(outcome.result)
    assert up.max() == values["most_replicas_up"]
    mean = (np.diff(np.append(times, outcome.result.duration)) * up).sum() / outcome.result.duration
    assert mean == pytest.approx(values["mean_replicas_up"])
    assert "Replicas that serve" in sim.html_report(outcome)
    from rich.console import Console

    shown = io.StringIO()
    print_outcome(Console(file=shown, width=160), outcome)
    assert "availability" in shown.getvalue()
    idle = sim.simulate(load(tmp_path))
    assert idle.summary.values["availability"] is None
    assert values["usd"] < idle.summary.values["usd"] * outcome.result.duration / idle.result.duration

"""Capacity plans: bounds that hold, knees that are found, fleets that brute force would choose too."""

import json
import math
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_scenario import SMALL_PLAN

import sim
from sim import UserError
from sim.cli import execute
from sim.deployment import Speculation, enumerate_layouts, laid_out
from sim.figures import Resolution
from sim.hardware import load_cluster, resolve_cluster
from sim.models import build_model
from sim.operators.batch import BatchShape
from sim.planning.executors.serial import SerialExecutor
from sim.planning.money import Ownership, Rental, annuity, bill, billed_chips, check_price
from sim.planning.plan.candidate import answered, whole
from sim.planning.plan.choose import attempted, fleet_option
from sim.planning.plan.estimate import estimate
from sim.planning.plan.fleet import interval, node_loss
from sim.planning.plan.knee import Knee, bracketed
from sim.planning.plan.launch import launch_commands
from sim.planning.plan.light import LightSteps
from sim.planning.plan.plan import run_plan
from sim.planning.plan.question import Question
from sim.planning.plan.schema import PlanSpec, read_plan
from sim.planning.plan.space import Template, bounds, screen
from sim.planning.plan.traffic import Traffic, traffic
from sim.timing import make_timer
from sim.workload import generate

ROOT = Path(__file__).parents[1]
SERIAL = SerialExecutor()
CLOSED = {"process": "closed", "concurrency": 4}


def spec(**changed: object) -> PlanSpec:
    return PlanSpec.model_validate(SMALL_PLAN | changed)


@cache
def small_plan():
    return run_plan(spec(), ROOT, "small.yaml", SERIAL)


def prepared(model: str, cluster: str, weights: str):
    scenario = sim.load(
        ROOT / "examples" / "ax-k1-h200.yaml",
        [f"model={model}", f"cluster={cluster}", "deployment.parallel={}",
         f"deployment.precision={{weights: {weights}, activations: {weights}}}",
         "workload={arrivals: {process: poisson, rate: 1}, num_requests: 300, prompt_tokens: {distribution: "
         "lognormal, mean: 900, cv: 1}, output_tokens: {distribution: lognormal, mean: 300, cv: 1}}"],
    )  # fmt: skip
    hardware = resolve_cluster(scenario.spec.cluster, Resolution("cluster"))
    template = laid_out(scenario.spec.deployment, build_model(scenario.spec.model), hardware)
    return template, traffic(generate(scenario.spec.workload, 0, ROOT), caching=True)


@pytest.mark.parametrize(
    ("model", "cluster", "weights", "chips"),
    [
        ("ax-k1", "h200-hgx-x4", "fp8", 16),
        ("ax-k1", "rebel100-rack", "fp8", 32),
        ("llama-3.1-405b", "h200-hgx", "bf16", 8),
        ("gpt-oss-120b", "h100-hgx", "bf16", 4),
    ],
)
def test_no_step_of_the_roofline_is_lighter_than_the_bound(model, cluster, weights, chips):
    template, load = prepared(model, cluster, weights)
    light = LightSteps(template, load)
    found = list(enumerate_layouts(template.model, chips, weights))
    for parallel in found[:: max(1, len(found) // 12)]:
        timer = make_timer(replace(template, parallel=parallel), "roofline")
        for decodes in (1, 7, 64, 256):
            windowed = tuple(round(decodes * load.read(window)) for window in timer.windows)
            step = timer.explain(BatchShape(decodes, round(decodes * load.context), windowed))
            bound = float(light.decode(parallel, np.array([float(decodes)]))[0])
            assert bound <= step.light * (1 + 1e-3)
            if parallel.pp == 1 and timer.padded(decodes) == decodes:
                assert bound >= 0.75 * step.light, "a bound that is far off screens nothing"
        prompt = timer.explain(BatchShape(chunks=((2000, 0),)))
        assert light.prefill(parallel, 2000) <= prompt.light * (1 + 1e-3)


def test_an_estimate_never_exceeds_its_bound_and_a_simulated_knee_does_not_either():
    result = small_plan()
    for option in result.options:
        assert option.unit.rate <= option.unit.bound
        assert option.search.rate <= option.unit.bound * (1 + 1e-9)


def test_what_cannot_work_is_dropped_with_its_reason():
    template, load = prepared("llama-3.1-405b", "h200-hgx", "bf16")
    asked = replace(bounds(sim.load(ROOT / "examples" / "ax-k1-h200.yaml").spec.slo), tpot=0.02)
    screening = screen([Template(template)], load, asked, 8)
    assert screening.looked_at == len(screening.kept) + sum(screening.dropped.values())
    assert set(screening.dropped) == {"does not fit into memory", "light alone breaks TPOT"}
    assert screen([Template(template)], load, replace(asked, tpot=1.0, ttft=1e-3), 8).dropped[
        "light alone breaks TTFT"
    ]
    assert screen([Template(template)], load, replace(asked, tpot=1.0, e2el=1e-3), 8).dropped[
        "light alone breaks E2EL"
    ]
    huge = Traffic(load.prompt * 100, load.output, 1.0, load.context * 100)
    assert "KV cache too small for one sequence" in screen([Template(template)], huge, asked, 8).dropped


@given(st.floats(0.01, 100), st.floats(0.01, 100), st.floats(0.01, 0.5))
def test_a_knee_is_met_and_lies_within_the_tolerance_of_what_is_not(truth, guess, tolerance):
    most = 80.0
    rate, reached = bracketed(lambda r: r <= truth, min(guess, most), most, tolerance)
    if reached:
        assert rate == most <= truth
    elif rate:
        assert rate <= truth < rate * (1 + tolerance) * (1 + 1e-9)
    else:
        assert truth < min(guess, most) * 2e-3


def test_an_interval_is_students():
    found = interval([1.0, 2.0, 3.0])
    assert found.mean == 2.0
    assert found.high - found.mean == pytest.approx(4.303 * 1.0 / math.sqrt(3))
    assert interval([5.0]) == interval([5.0, 5.0])
    assert interval([0.0, 1.0] * 30).high == pytest.approx(0.5 + 1.96 * 0.50422 / math.sqrt(60), rel=1e-3)


@pytest.mark.parametrize(
    ("rate", "knee", "replicas", "chips", "left", "survives", "spare"),
    [
        (9.0, 5.0, 2, 8, 1, False, 1),
        (9.0, 5.0, 3, 8, 2, True, 0),
        (9.0, 5.0, 2, 16, 1, False, 1),
        (9.0, 1.0, 9, 2, 5, False, 1),
        (9.0, 1.0, 16, 2, 12, True, 0),
    ],
)
def test_a_lost_server_takes_its_replicas_with_it(rate, knee, replicas, chips, left, survives, spare):
    loss = node_loss(rate, knee, replicas, chips, server=8)
    assert (loss.replicas_left, loss.survives, loss.spare_servers) == (left, survives, spare)


def test_an_annuity_pays_price_and_interest():
    debt = 1.0
    for _ in range(4):
        debt = debt * 1.08 - annuity(0.08, 4)
    assert debt == pytest.approx(0.0, abs=1e-12)
    assert annuity(0.0, 4) == 0.25


def test_a_bill_is_the_sum_of_its_causes_and_owners_pay_whole_servers():
    cluster, _ = load_cluster("h200-hgx")
    own, rent = Ownership(form="ownership"), Rental()
    assert (billed_chips(own, 12, 8), billed_chips(rent, 12, 8)) == (16, 12)
    owned = bill(own, cluster.chip, 12, 8, 900.0, 400.0, Resolution("money"))
    assert owned.usd_per_hour == pytest.approx(sum(owned.parts.values()))
    assert owned.watts == pytest.approx(1.3 * (12 * 900 + 4 * 400))
    assert owned.parts["electricity"] == pytest.approx(owned.watts / 1e3 * 182.7 / 1400)
    assert owned.parts["capital"] == pytest.approx(16 * 43_000 * annuity(0.08, 4) / 8760)
    rented = bill(rent, cluster.chip, 12, 8, 900.0, 400.0, Resolution("money"))
    assert rented.usd_per_hour == pytest.approx(12 * cluster.chip.rental)
    low = bill(own, cluster.chip, 12, 8, 900.0, 400.0, Resolution("money", draw={"money.site.pue": 0.05}))
    assert low.watts == pytest.approx(1.1 / 1.3 * owned.watts)


def test_a_chip_without_a_price_is_refused_with_what_to_do():
    cluster, _ = load_cluster("rebel100-server")
    with pytest.raises(UserError, match=r"price\.rental.*form: ownership"):
        check_price(Rental(), cluster.chip)
    check_price(Ownership(form="ownership"), cluster.chip)


def test_the_chosen_fleet_costs_what_the_best_of_brute_force_costs():
    """Every layout on every number of replicas, the same seeds: the cheapest that meets what is asked."""
    asked = spec(candidates=[{"cluster": "h100-hgx", "name": "h100"}])
    found = answered(Question(asked, asked.clusters[0], ROOT, "small.yaml"))
    best = None
    for screened in found.screening.kept:
        each = estimate(screened, found.load, bounds(asked.slo))
        if each is None:
            continue
        unit = whole("h100", screened, each, asked.rate)
        for replicas in range(1, asked.max_chips // screened.layout.parallel.chips + 1):
            knee = Knee("one", asked.rate / replicas, False, ())
            option = fleet_option(
                asked, {"h100": found}, unit, knee,
                lambda shares: [attempted(share) for share in shares],
            )  # fmt: skip
            if option is not None:
                if best is None or option.usd_per_million.mean < best.usd_per_million.mean:
                    best = option
                break
    assert best is not None
    chosen = next(option for option in small_plan().options if option.candidate == "h100")
    assert best.usd_per_million.holds(chosen.usd_per_million.mean)
    assert chosen.chips == best.chips


def test_a_plan_names_the_cheapest_first_and_what_the_other_would_need():
    result = small_plan()
    costs = [option.usd_per_million.mean for option in result.options]
    assert costs == sorted(costs)
    best = result.best
    assert best.replicas * best.knee >= result.spec.rate
    assert best.headroom == pytest.approx(best.replicas * best.knee / result.spec.rate - 1)
    needs = result.runner_up
    assert needs is not None
    other = next(option for option in result.options if option.candidate == needs.candidate)
    assert other.usd_per_million.mean * needs.price == pytest.approx(best.usd_per_million.mean)


def test_the_scenario_of_the_answer_runs_and_meets_what_was_asked(tmp_path):
    result = small_plan()
    result.scenario.write_resolved(tmp_path / "replica.yaml")
    outcome = sim.simulate(sim.load(tmp_path / "replica.yaml", ["workload.num_requests=400"]))
    assert outcome.summary.values["request_rate"] == pytest.approx(result.spec.rate / result.best.replicas)
    assert outcome.summary.values["meets_slo"]


def test_runs_are_exported_as_inferencex_records():
    records = small_plan().inferencex()
    assert records
    for record in records:
        assert record["hw"] in ("h100", "a100-hgx")
        assert record["median_tpot"] * record["median_intvty"] == pytest.approx(1.0)
        assert record["output_tput_per_gpu"] < record["tput_per_gpu"]


def test_launch_commands_say_the_layout_in_each_engines_own_terms():
    pool = small_plan().best.unit.answers
    parallel = replace(pool.layout.parallel, tp=2, pp=2, dp=4, ep=8)
    precision = replace(pool.layout.precision, weights="fp8", kv_cache="fp8")

    def commands(ep: int, role: str = "both", speculation: Speculation | None = None) -> dict[str, str]:
        layout = replace(pool.layout, parallel=replace(parallel, ep=ep), precision=precision)
        deployment = replace(pool.screened.deployment, speculation=speculation)
        screened = replace(pool.screened, layout=layout, deployment=deployment, role=role)
        return launch_commands(replace(small_plan().best.unit, pools=(replace(pool, screened=screened),)))

    plain = commands(8)
    for flag in ("--tensor-parallel-size 2", "--data-parallel-size 4", "--enable-expert-parallel", "fp8"):
        assert flag in plain["vllm"]
    for flag in ("--tp-size 8", "--dp-size 4 --enable-dp-attention", "--ep-size 8", "fp8_e4m3"):
        assert flag in plain["sglang"]
    for flag in ("--tp_size 8", "--pp_size 2", "enable_attention_dp: true", "{dtype: fp8}"):
        assert flag in plain["tensorrt-llm"]
    assert "not 4 groups" in commands(4)["vllm"]
    drafts = Speculation((0.8, 0.6), pool.screened.deployment.model, 1, shares_weights=True)
    drafting = commands(8, "decode", drafts)
    assert '"method": "mtp", "num_speculative_tokens": 2' in drafting["vllm, decode"]
    assert "NixlConnector" in drafting["vllm, decode"]
    assert "--disaggregation-mode decode --speculative-algorithm NEXTN" in drafting["sglang, decode"]
    assert "num_nextn_predict_layers: 2" in drafting["tensorrt-llm, decode"]
    beside = commands(8, speculation=replace(drafts, shares_weights=False))
    assert f'"model": "{drafts.drafter.name}"' in beside["vllm"]
    assert "--speculative-draft-model-path" in beside["sglang"]


def test_percentile_bounds_alone_make_a_plan():
    percentiles = {"p99_ttft": "1 s", "p95_tpot": "15 ms", "mean_e2el": "3 s"}
    result = run_plan(
        spec(slo=None, percentiles=percentiles, candidates=["h100-hgx"], rate=20.0), ROOT, "p.yaml", SERIAL
    )
    assert result.best.figures["p99_ttft_ms"].mean <= 1000
    assert result.best.figures["p99_tpot_ms"].mean > 0


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"slo": None}, "needs 'slo' or 'percentiles'"),
        ({"percentiles": {"p98_ttft": "1 s"}}, "is no percentile"),
        ({"candidates": ["h100-hgx", "h100-hgx"]}, "the same name"),
        ({"candidates": ["h100-hgxx"]}, "plan.yaml: candidates: unknown cluster 'h100-hgxx'; did you mean"),
        (
            {"workload": SMALL_PLAN["workload"] | {"arrivals": {"process": "closed", "concurrency": 4}}},
            "no rate",
        ),
        ({"rate": 1e5}, "no candidate serves 100000 requests/s on 8 chips"),
        ({"slo": {"tpot": "10 us"}}, "light alone breaks TPOT"),
        ({"candidates": ["rebel100-server"]}, "price.rental"),
        ({"search": {"precision": [{"weights": "fp4", "activations": "fp4"}]}}, "no fp4 arithmetic"),
    ],
)
def test_a_question_that_cannot_be_answered_ends_in_one_sentence(changed, said, tmp_path, capsys):
    path = tmp_path / "plan.yaml"
    path.write_text(json.dumps({k: v for k, v in (SMALL_PLAN | changed).items() if v is not None}))
    assert execute(["plan", str(path), "--backend", "serial"]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error


def test_the_command_prints_the_answer_and_writes_all_of_it(tmp_path, capsys):
    path = tmp_path / "plan.yaml"
    path.write_text(json.dumps(SMALL_PLAN))
    names = {kind: tmp_path / f"out.{kind}" for kind in ("html", "yaml", "json")}
    command = ["plan", str(path), "--backend", "serial", "--json", "-", "--html", str(names["html"])]
    command += ["--scenario", str(names["yaml"]), "--inferencex", str(names["json"])]
    assert execute(command) == 0
    written, shown = capsys.readouterr()
    record = json.loads(written)
    assert record["options"][0]["candidate"] == small_plan().best.candidate
    assert record["options"] == json.loads(json.dumps([o.to_json() for o in small_plan().options]))
    for said in ("USD/1M", "With one server down", "would draw level at", "vllm serve"):
        assert said in shown
    assert "Launch one replica" in names["html"].read_text()
    assert json.loads(names["json"].read_text())


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("plan-*.yaml")), ids=lambda e: e.stem)
def test_every_example_plan_is_a_question_whose_candidates_exist(example):
    asked = read_plan(example)
    assert len(asked.clusters) >= 2
    for chosen in asked.clusters:
        load_cluster(chosen.cluster, example.parent)

"""Plans whose prompts and answers lie in pools of their own, that draft, route, and buy spare servers."""

import json
from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from small_scenario import SMALL_PLAN

import sim
from sim.cli import execute
from sim.deployment import enumerate_layouts
from sim.figures import Resolution
from sim.hardware import resolve_cluster
from sim.models import build_model
from sim.operators.batch import BatchShape
from sim.planning.executors.serial import SerialExecutor
from sim.planning.plan.candidate import Candidate, answered
from sim.planning.plan.choose import attempted, fleet_option
from sim.planning.plan.cost import fleet_bill
from sim.planning.plan.estimate import prompt_rate
from sim.planning.plan.fleet import node_loss
from sim.planning.plan.knee import Knee
from sim.planning.plan.light import LightSteps
from sim.planning.plan.plan import run_plan
from sim.planning.plan.question import Question, asked_of, scenario_in, templates_of
from sim.planning.plan.schema import PlanSpec
from sim.planning.plan.space import screen
from sim.planning.plan.split import RATIOS, splits
from sim.planning.plan.traffic import traffic
from sim.planning.plan.unit import Unit
from sim.timing import make_timer
from sim.workload import generate
from tests.test_plan import prepared

ROOT = Path(__file__).parents[1]
SMALL_SEARCH = SMALL_PLAN["search"]
assert isinstance(SMALL_SEARCH, dict)
LAYERWISE = {"layerwise": True, "overhead": "0.5 ms"}


def spec(search: dict[str, object], **changed: object) -> PlanSpec:
    searched = SMALL_SEARCH | {"simulate": 2} | search
    return PlanSpec.model_validate(SMALL_PLAN | {"search": searched, "transfer": LAYERWISE} | changed)


def planned(asked: PlanSpec):
    return run_plan(asked, ROOT, "small.yaml", SerialExecutor())


@cache
def in_pools():
    return planned(spec({"pools": ["together", "apart"]}, candidates=["h100-hgx"]))


def candidates(asked: PlanSpec) -> dict[str, Candidate]:
    return {chosen.name: answered(Question(asked, chosen, ROOT, "small.yaml")) for chosen in asked.clusters}


@pytest.mark.parametrize(
    ("model", "cluster", "weights", "chips"),
    [("ax-k1", "h200-hgx-x4", "fp8", 16), ("llama-3.1-405b", "h200-hgx", "bf16", 8)],
)
def test_no_pool_of_prompts_is_faster_than_its_bound(model, cluster, weights, chips):
    template, load = prepared(model, cluster, weights)
    light = LightSteps(template, load)
    found = list(enumerate_layouts(template.model, chips, weights))
    for parallel in found[:: max(1, len(found) // 8)]:
        budget = template.engine.max_num_batched_tokens
        bound = parallel.dp / light.prompts(parallel, budget)
        for fidelity in ("roofline", "analytic"):
            timer = make_timer(replace(template, parallel=parallel), fidelity)
            assert prompt_rate(timer, load) <= bound * (1 + 1e-3)


def test_drafts_never_make_a_step_lighter_than_the_bound_and_raise_it_by_at_most_their_yield():
    asked = {
        "model": "ax-k1",
        "candidates": ["h200-hgx"],
        "search": {
            "precision": [{"weights": "fp8", "activations": "fp8"}],
            "speculation": [None, {"method": "mtp", "num_speculative_tokens": 2, "acceptance": 0.8}],
        },
    }
    question = PlanSpec.model_validate(SMALL_PLAN | asked | {"slo": {"tpot": "100 ms"}})
    asking = Question(question, question.clusters[0], ROOT, "drafts.yaml")
    scenario = scenario_in(asking)
    cluster = resolve_cluster(scenario.spec.cluster, Resolution("cluster"))
    load = traffic(generate(scenario.spec.workload, 0, ROOT), caching=True)
    templates = templates_of(asking, scenario, build_model(scenario.spec.model), cluster)
    by_drafts = {
        kept.layout.speculation != "null": kept
        for kept in screen(templates, load, asked_of(question), 8).kept
        if kept.layout.parallel.tp == 8 and kept.layout.parallel.ep == 8
    }
    plain, drafting = by_drafts[False], by_drafts[True]
    yielded = drafting.deployment.mean_yield
    assert yielded == pytest.approx(1 + 0.8 + 0.64)
    assert plain.rate < drafting.rate < yielded * plain.rate
    light = LightSteps(drafting.deployment, load)
    timer = make_timer(drafting.deployment, "roofline")
    for decodes in (1, 16, 64):
        windowed = tuple(round(decodes * load.read(window)) for window in timer.windows)
        batch = BatchShape(decodes, round(decodes * load.context), windowed, queries=3)
        bound = float(light.decode(drafting.layout.parallel, np.array([float(decodes)]))[0])
        assert 0.6 * timer.explain(batch).light <= bound <= timer.explain(batch).light * (1 + 1e-3)


def test_units_are_bounded_by_their_slower_pool_and_by_their_link():
    asked = spec({"pools": ["apart"]}, candidates=["h100-hgx"])
    own = candidates(asked)["h100-hgx"]
    for unit in splits(asked, [(own, own)], 8):
        assert unit.prompts is not None
        for pool in unit.pools:
            assert pool.estimate.rate <= pool.screened.rate
            assert unit.rate <= pool.count * pool.estimate.rate * (1 + 1e-12)
        assert unit.rate <= unit.bound
        assert unit.chips <= 8
    slow = spec({"pools": ["apart"]}, candidates=["h100-hgx"], transfer={"bandwidth": "100 MB/s"})
    for unit in splits(slow, [(own, own)], 1e9):
        moved = own.load.mean_prompt * 2 * 32 * 8 * 128 * 2
        assert unit.rate <= 1.01 * 100e6 * min(pool.chips for pool in unit.pools) / moved


def test_the_chosen_pair_costs_what_the_best_of_brute_force_costs():
    """Every pair of pools in every ratio, as many units as it takes, the same seeds."""
    asked = spec({"pools": ["apart"]}, candidates=["h100-hgx"], max_chips=6)
    found = candidates(asked)
    own = found["h100-hgx"]
    prompts, answers = (
        [pool for pool in own.pools if pool.screened.role == role] for role in ("prefill", "decode")
    )
    best = None
    for prefill, decode, (p, d) in product(prompts, answers, RATIOS):
        unit = Unit((replace(decode, count=d), replace(prefill, count=p)), 1e9, 1e9, 1)
        for units in range(1, asked.max_chips // unit.each + 1):
            floor = fleet_bill(asked.money, unit, units).usd_per_hour
            if best is not None and floor > 1.3 * best.bill.usd_per_hour:
                break  # rented chips cost by their number: no dearer fleet is the best
            tried = asked.model_copy(update={"max_chips": units * unit.each})  # no more than these units
            knee = Knee("one", asked.rate / units, False, ())
            option = fleet_option(tried, found, unit, knee, lambda shares: [attempted(s) for s in shares])
            if option is not None:
                if best is None or option.usd_per_million.mean < best.usd_per_million.mean:
                    best = option
                break
    assert best is not None
    chosen = planned(asked).best
    assert best.usd_per_million.holds(chosen.usd_per_million.mean)
    assert chosen.chips == best.chips


def test_pools_compete_with_whole_replicas_and_the_answer_runs(tmp_path):
    result = in_pools()
    assert {len(option.unit.pools) for option in result.options} == {1, 2}
    costs = [option.usd_per_million.mean for option in result.options]
    assert costs == sorted(costs)
    apart = next(option for option in result.options if option.unit.prompts is not None)
    assert apart.search.rate <= apart.unit.bound * (1 + 1e-9)
    assert apart.chips == apart.replicas * sum(pool.chips for pool in apart.unit.pools)
    record = apart.to_json()
    assert record["prompts"]["count"] >= 1
    assert json.loads(json.dumps(record)) == record
    result.scenario.write_resolved(tmp_path / "unit.yaml")
    assert sim.load(tmp_path / "unit.yaml", ["workload.num_requests=50"]) is not None


def test_a_mixed_fleet_pays_for_the_chips_of_both_candidates():
    asked = spec({"pools": ["mixed"]})
    result = planned(asked)
    best = result.best
    assert best.candidate in ("h100 > a100-hgx", "a100-hgx > h100")
    alone = [
        fleet_bill(asked.money, replace(best.unit, pools=(pool,)), best.replicas) for pool in best.unit.pools
    ]
    assert best.bill.usd_per_hour == pytest.approx(sum(bill.usd_per_hour for bill in alone))
    assert {record["disagg"] for record in result.inferencex()} == {True}
    assert len({engine for engine in result.launch if engine.startswith("vllm")}) == 2


def test_bands_and_budgets_cover_pools_too():
    asked = spec({"pools": ["apart"]}, candidates=["h100-hgx"], budget="80 USD/h")
    result = run_plan(asked, ROOT, "small.yaml", SerialExecutor(), samples=4)
    for option, certainty in zip(result.options, result.certainty, strict=True):
        assert certainty.usd_per_million.p10 < certainty.usd_per_million.p90
        assert option.unit.prompts is not None
    assert result.budget[0].bill.usd_per_hour <= 80


def test_behind_a_router_a_fleet_takes_no_more_replicas_than_with_shares_drawn_at_random():
    alone = spec({"simulate": 1}, candidates=["h100-hgx"])
    routed = spec({"simulate": 1, "routers": ["round_robin", "least_outstanding"]}, candidates=["h100-hgx"])
    drawn, behind = planned(alone).best, planned(routed).best
    assert behind.router in ("round_robin", "least_outstanding")
    assert behind.replicas <= drawn.replicas
    assert behind.usd_per_million.mean <= drawn.usd_per_million.high


def test_servers_that_may_be_down_are_bought_where_the_fleet_lacks_them():
    asked = spec({"simulate": 1}, candidates=["h100-hgx"], servers_down=1)
    best, cheap = planned(asked).best, planned(spec({"simulate": 1}, candidates=["h100-hgx"])).best
    assert best.spares == (best.loss.spare_servers,)
    if not best.loss.survives:
        chip_hour = cheap.bill.usd_per_hour / cheap.chips
        assert best.bill.usd_per_hour == pytest.approx(cheap.bill.usd_per_hour + 8 * chip_hour)


@pytest.mark.parametrize(("down", "left", "spare"), [(1, 9, 1), (2, 8, 2), (12, 0, 10)])
def test_as_many_spare_servers_as_are_down_always_suffice(down, left, spare):
    loss = node_loss(10.0, 1.0, 10, 16, server=8, down=down)
    assert (loss.replicas_left, loss.spare_servers) == (left, spare)
    assert loss.spare_servers <= down


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"search": {"pools": ["appart"]}}, "'together', 'apart' or 'mixed'"),
        ({"search": {"pools": ["mixed"]}, "candidates": ["h100-hgx"]}, "take two candidates"),
        ({"search": {"routers": ["best"]}}, "search.routers"),
        ({"search": {"speculation": [{"method": "mtp"}]}}, "ships no multi-token-prediction module"),
        ({"search": {"speculation": [{"method": "guess"}]}}, "'mtp' or 'draft_model'"),
        ({"transfer": {"bandwidth": "fast"}}, "transfer.bandwidth"),
        ({"servers_down": -1}, "servers_down"),
    ],
)
def test_a_faulty_dimension_ends_in_one_sentence(changed, said, tmp_path, capsys):
    path = tmp_path / "plan.yaml"
    path.write_text(json.dumps(SMALL_PLAN | changed))
    assert execute(["plan", str(path), "--backend", "serial"]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "\n" not in error.strip()
    assert "Traceback" not in error


def test_the_command_shows_pools_routers_and_spares(tmp_path, capsys):
    path, page = tmp_path / "plan.json", tmp_path / "plan.html"
    search = SMALL_SEARCH | {"pools": ["apart"], "simulate": 1, "routers": ["least_outstanding"]}
    small = SMALL_PLAN | {"candidates": ["h100-hgx"], "search": search, "servers_down": 1}
    path.write_text(json.dumps(small))
    assert execute(["plan", str(path), "--backend", "serial", "--html", str(page)]) == 0
    shown = capsys.readouterr().out
    for said in ("1 × (", "> ", "With one server down", "--disaggregation-mode prefill"):
        assert said in shown
    assert "least_outstanding" in page.read_text()

"""Reviews: speeds are those of `explain`, requirements hold where they are said to and not one step below."""

import json
import math
import re
from functools import cache
from itertools import pairwise, product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_review import coarse
from small_scenario import SMALL, write_small

import sim
from sim import UserError, documents
from sim.cli import execute
from sim.deployment import Parallel
from sim.planning.review import requirements
from sim.planning.review.combination import cheapest
from sim.planning.review.influence import sureness
from sim.planning.review.inversion import grid, invert
from sim.planning.review.layouts import best_layout, layout_speed, layouts
from sim.planning.review.machine import machine
from sim.planning.review.maps import maps
from sim.planning.review.needs import alone, needs
from sim.planning.review.point import Point, default_point, point_of
from sim.planning.review.requirements import least_capacity, requirement, takeover
from sim.planning.review.resources import BY_NAME, CAPACITY, RESOURCES, all_sets, relative_cost
from sim.planning.review.served import served
from sim.planning.review.target import parse_target
from sim.planning.review.variant import Judge, Variant
from sim.planning.review.variation import DESIGNS, variations
from sim.planning.review.verdict import verdict
from sim.scenario.scenario import scenario_of

ROOT = Path(__file__).parents[1]
POINT = Point(16, 256, 32)
MOE = Point(64, 2048, 512)


def text_scenario(text: str):
    return scenario_of(documents.parse(text, "small.yaml"), Path())


@cache
def small_machine():
    return machine(text_scenario(SMALL))


@cache
def rebel():
    return machine(sim.load(ROOT / "examples" / "ax-k1-rebel100.yaml"))


@cache
def thirty():
    """A.X K1 on Rebel100 at thirty tokens/s per user."""
    return requirement(rebel(), MOE, parse_target("tokens/s/user >= 30"))


# speeds


def test_a_users_speed_is_that_of_explain():
    step = sim.explain(rebel().scenario, decode=MOE.batch, context=MOE.context)
    speed = rebel().speed(MOE)
    assert speed.tokens_per_s_per_user == pytest.approx(step.tokens_per_s_per_user)
    assert speed.light_per_user == pytest.approx(1.0 / step.step.light)


def test_a_long_prompt_is_priced_in_the_engines_chunks():
    budget = rebel().deployment.engine.max_num_batched_tokens
    steps = rebel().prefill_steps(2 * budget + 1)
    assert [step.batch.chunks for step in steps] == [((budget, 0),), ((budget, budget),), ((1, 2 * budget),)]


@pytest.mark.parametrize("make", [small_machine, rebel])
def test_nothing_is_faster_than_light_and_time_by_resource_adds_up(make):
    speed = make().speed(POINT)
    assert speed.tokens_per_s_per_user <= speed.light_per_user
    assert speed.tokens_per_s_per_chip <= speed.light_per_chip
    assert speed.prefill_tokens_per_s_per_chip <= speed.light_prefill_per_chip
    for phase in (speed.decode, speed.prefill):
        assert sum(phase.causes.values()) == pytest.approx(phase.seconds)
        assert phase.causes[phase.bound] == max(phase.causes.values())
        assert phase.share(phase.bound) <= 1.0
        assert phase.causes["vector"] >= 0.0


def test_the_largest_batch_fits_and_one_more_does_not():
    most = rebel().largest_batch(MOE.context)
    assert rebel().speed(Point(most, MOE.prompt, MOE.output)).fits
    assert not rebel().speed(Point(most + 1, MOE.prompt, MOE.output)).fits


def test_a_load_never_serves_a_user_faster_than_its_decode_steps_alone():
    speed, run = rebel().speed(MOE), served(rebel(), MOE)
    assert run is not None
    assert run.tokens_per_s_per_user <= speed.tokens_per_s_per_user * 1.01
    assert run.usd_per_million > 0
    assert run.joules > 0


def test_a_dearer_chip_costs_its_capital_and_nothing_else():
    costs = [served(rebel(), MOE, price).usd_per_million for price in (1.0, 2.0, 3.0)]
    assert costs[2] - costs[1] == pytest.approx(costs[1] - costs[0])
    assert costs[0] < costs[1] < 2 * costs[0]


def test_drafts_speed_a_user_up_by_their_yield():
    drafting = machine(sim.load(ROOT / "examples" / "ax-k1-mtp-h200.yaml"))
    step = sim.explain(drafting.scenario, decode=8, context=1024)
    speed = drafting.speed(Point(8, 1000, 48))
    assert speed.tokens_per_s_per_user == pytest.approx(step.tokens_per_s_per_user)
    assert speed.tokens_per_s_per_chip < speed.light_per_chip


# points


def test_lengths_that_are_not_asked_are_the_workloads_means():
    scenario = small_machine().scenario
    point = point_of(scenario, None, None, None)
    assert point.batch == 64
    assert point.prompt == pytest.approx(256, rel=0.2)
    assert point.output == 24
    assert point_of(scenario, 3, 5, 7) == Point(3, 5, 7) == default_point(3, 5, 7)
    assert Point(1, 100, 50).context == 125
    with pytest.raises(UserError, match="--batch 0: at least 1"):
        default_point(0, None, None)


# inversion


@given(st.lists(st.booleans(), min_size=1, max_size=30))
def test_the_least_value_is_the_lowest_above_which_every_tested_one_meets(meets):
    found = invert(meets)
    if found.least is None:
        assert not meets[-1]
    else:
        assert all(meets[found.least :])
        assert found.least == 0 or not meets[found.least - 1]
    below = meets[: len(meets) if found.least is None else found.least]
    assert found.interval == (not any(below))


def test_a_grid_has_both_ends_and_one_step_ratio():
    values = grid(0.25, 16.0, 8)
    assert (values[0], values[-1], len(values)) == (0.25, 16.0, 49)
    assert 1.0 in values
    assert {round(b / a, 9) for a, b in pairwise(values)} == {round(2 ** (1 / 8), 9)}


@given(
    st.lists(st.floats(0.2, 5.0), min_size=1, max_size=3),
    st.lists(st.floats(0.05, 1.0), min_size=3, max_size=3),
    st.floats(1.05, 2.5),
)
def test_a_combination_meets_and_none_of_its_resources_can_be_weaker(times, weights, wanted):
    """Amdahl's law: time = Σ t_i / s_i, wanted times as fast."""
    values = grid(1.0, 4.0, 2)
    names = [str(i) for i in range(len(times))]

    def margin(strengths):
        now = sum(t / strengths[name] for name, t in zip(names, times, strict=True))
        return math.log(sum(times) / now / wanted)

    def cost(strengths):
        return 1.0 + sum(w * (strengths[n] - 1.0) for n, w in zip(names, weights, strict=False))

    found, meets = cheapest(dict.fromkeys(names, values), cost, margin)
    assert meets
    assert margin(found) >= 0
    for name in names:
        place = values.index(found[name])
        assert place == 0 or margin({**found, name: values[place - 1]}) < 0
    every = (dict(zip(names, chosen, strict=True)) for chosen in product(values, repeat=len(names)))
    best = min(cost(chosen) for chosen in every if margin(chosen) >= 0)
    assert cost(found) - 1.0 <= 1.5 * (best - 1.0) + 1e-9


def test_a_combination_is_found_where_the_strongest_of_everything_is_too_dear():
    values = [1.0, 2.0, 4.0, 8.0]
    found, meets = cheapest(
        {"a": values, "b": values}, lambda s: s["a"] + s["b"], lambda s: 0.5 - abs(s["a"] - 4.0) - s["b"] / 8
    )
    assert meets
    assert found == {"a": 4.0, "b": 1.0}
    found, meets = cheapest({"a": values}, lambda s: s["a"], lambda s: -1.0 - abs(s["a"] - 2.0))
    assert not meets
    assert found == {"a": 2.0}
    assert cheapest({}, lambda _: 0.0, lambda _: -1.0) == ({}, False)


# requirements


def per_user(sets: list[str]) -> float:
    """By `explain`, from the scenario and the sets alone."""
    changed = rebel().scenario.changed(sets)
    return sim.explain(changed, decode=MOE.batch, context=MOE.context).tokens_per_s_per_user


def test_a_requirement_holds_where_it_is_said_to_and_not_one_grid_step_below():
    found = [one for one in thirty().alone if one.least is not None]
    assert "hbm_bandwidth" in [one.resource.name for one in found]
    for one in found:
        at, below = one.strengths[one.least], one.strengths[one.least - 1]
        assert per_user(one.resource.sets(rebel(), at)) >= 30
        assert per_user(one.resource.sets(rebel(), below)) < 30


def test_a_resource_that_never_reaches_it_does_not_at_its_strongest():
    for one in thirty().alone:
        if one.least is None:
            assert per_user(one.resource.sets(rebel(), one.strengths[-1])) < 30


def test_the_combination_holds_and_is_cheaper_than_what_one_resource_needs():
    together = thirty().together
    assert per_user(all_sets(rebel(), together.strengths)) >= 30
    values = requirements.TOGETHER["step"]
    for name, strength in together.strengths.items():
        weaker = values[values.index(strength) - 1]
        assert per_user(all_sets(rebel(), {**together.strengths, name: weaker})) < 30
    assert together.cost == pytest.approx(relative_cost(together.strengths))
    single = [relative_cost({o.resource.name: o.strengths[o.least]}) for o in thirty().alone if o.least]
    assert together.cost <= min(single)


def test_the_next_bottleneck_is_named_where_it_takes_over():
    hbm = next(one for one in thirty().alone if one.resource.name == "hbm_bandwidth")
    assert hbm.takeover is not None
    assert all(variant.bound != "hbm" for variant in hbm.variants[hbm.takeover :])
    assert hbm.variants[hbm.takeover - 1].bound == "hbm"
    assert hbm.gives_way
    assert takeover([True, False, True, False, False]) == 3
    assert takeover([False, False]) is None
    assert takeover([False, True]) is None


def test_more_of_a_rate_never_slows_a_step_at_the_speed_of_light():
    light = machine(rebel().scenario.changed(["fidelity=roofline"]))
    judge = Judge(light, MOE, parse_target("tokens/s/user >= 30 and ttft <= 1 s"))
    for name in ("hbm_bandwidth", "link_bandwidth", "flops"):
        margins = [judge.of({name: strength}).margin for strength in (0.5, 1.0, 2.0, 4.0)]
        assert margins == sorted(margins)


def test_capacity_holds_the_point_and_one_step_less_does_not():
    for batch in (64, 400):
        point = Point(batch, 2048, 512)
        least = least_capacity(rebel(), point)
        assert least is not None
        values = requirements.HOLDING
        for strength, holds in ((least, True), (values[values.index(least) - 1], False)):
            changed = machine(rebel().scenario.changed(CAPACITY.sets(rebel(), strength)))
            assert (changed.largest_batch(point.context) >= batch) == holds
    assert least_capacity(rebel(), Point(10**6, 2048, 512)) is None


def test_what_does_not_fit_is_reviewed_with_the_capacity_it_needs(monkeypatch):
    coarse(monkeypatch)
    scenario = rebel().scenario.changed(["cluster.chip.memory.capacity=48 GiB"])
    small = machine(scenario)
    assert small.largest_batch(MOE.context) == 0
    assert not small.speed(MOE).fits
    assert served(small, MOE) is None
    capacity = least_capacity(small, MOE)
    assert capacity is not None
    assert capacity > 1.0
    found = requirement(small, MOE, parse_target("tokens/s/user >= 20"), capacity)
    assert found.now.values["tokens/s/user"] == pytest.approx(rebel().speed(MOE).tokens_per_s_per_user)
    assert found.together.cost == pytest.approx(relative_cost({"hbm_capacity": capacity}))


def test_a_target_on_money_is_inverted_on_simulated_loads(monkeypatch):
    coarse(monkeypatch)
    target = parse_target("usd/M tokens <= 3 and tokens/s/user >= 1 and J/token <= 100")
    found = requirement(small_machine(), POINT, target)
    assert target.level == "served"
    assert found.now.meets
    assert found.now.values["usd/M tokens"] == pytest.approx(served(small_machine(), POINT).usd_per_million)
    assert "hbm_capacity" in [one.resource.name for one in found.alone]
    assert "It still is" in needs(found)


def test_a_chip_without_a_price_is_asked_for_one():
    free = machine(text_scenario(SMALL.replace("h100-hgx", "l40s-server")))
    with pytest.raises(UserError, match=r"--set cluster\.chip\.price\.capex"):
        sim.review(free.scenario, targets=["usd/M tokens <= 1"])
    assert math.isnan(served(free, POINT).usd_per_million)


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda r: r.name)
def test_a_resource_at_a_strength_has_that_and_leaves_the_others_alone(resource):
    changed = machine(rebel().scenario.changed(resource.sets(rebel(), 2.0)))
    for other in RESOURCES:
        factor = 1.0 if other is not resource else 0.5 if resource.time else 2.0
        assert other.value(changed) == pytest.approx(factor * other.value(rebel()))
    assert resource.at(rebel(), 2.0) == pytest.approx(resource.value(changed))
    assert resource.sets(rebel(), 1.0) == []


def test_every_level_of_a_fabric_gets_stronger_together():
    rack = machine(text_scenario(SMALL.replace("h100-hgx", "h100-hgx-x4")))
    changed = machine(rack.scenario.changed(BY_NAME["link_bandwidth"].sets(rack, 2.0)))
    for now, then in zip(rack.deployment.cluster.tiers, changed.deployment.cluster.tiers, strict=True):
        assert then.bandwidth == pytest.approx(2 * now.bandwidth)
        assert then.latency == now.latency


def test_a_memory_ceiling_that_applies_rises_with_the_bandwidth():
    bound = machine(rebel().scenario.changed(["cluster.chip.memory.ceiling_applies=true"]))
    changed = machine(bound.scenario.changed(BY_NAME["hbm_bandwidth"].sets(bound, 2.0)))
    assert changed.deployment.cluster.chip.memory.ceiling == pytest.approx(2 * 2.7e12)


# targets


def test_a_targets_margin_is_that_of_its_hardest_bound():
    target = parse_target("tokens/s/user >= 30 and ttft <= 500 ms")
    assert target.margin({"tokens/s/user": 60.0, "ttft": 0.5}) == pytest.approx(0.0)
    assert target.margin({"tokens/s/user": 15.0, "ttft": 0.1}) == pytest.approx(-math.log(2))
    assert target.margin({"tokens/s/user": 15.0}) == -math.inf


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("fast", "write METRIC >= VALUE"),
        ("tokens/s/usr >= 3", r"unknown metric 'tokens/s/usr'; did you mean 'tokens/s/user'\?"),
        ("ttft >= 1 s", "ttft is bounded by <=, not >="),
        ("ttft <= 3", "3 is no time, as in 50 ms"),
        ("usd/M tokens <= cheap", "cheap is no number"),
        ("usd/M tokens <= 0", "must be above 0"),
    ],
)
def test_a_target_that_says_nothing_is_refused(text, said):
    with pytest.raises(UserError, match=f"--target '{text}': .*{said}"):
        parse_target(text)


def test_a_set_that_is_no_interval_is_said_to_be_none():
    hbm = next(one for one in thirty().alone if one.resource.name == "hbm_bandwidth")
    holed = type(hbm)(hbm.resource, hbm.strengths, hbm.variants, hbm.least, False, None)
    assert "no interval" in alone(holed, thirty())
    never = type(hbm)(hbm.resource, hbm.strengths, hbm.variants, None, True, 0)
    assert "alone never reaches it, up to 38.4 TB/s" in alone(never, thirty())
    assert "bind already" in alone(never, thirty())
    assert Variant({}, -math.inf, "").meets is False


# maps, layouts, variations, influence


def test_the_map_marks_what_does_not_fit_and_batches_never_speed_a_user_up():
    found = maps(rebel(), MOE)
    for cell in found.cells:
        assert cell.fits == (cell.batch <= found.largest[cell.context])
    speeds = [cell.tokens_per_s_per_user for cell in found.by_batch]
    assert speeds == sorted(speeds, reverse=True)
    contexts = list(found.largest)
    assert contexts[-1] <= rebel().deployment.model.context
    assert list(found.largest.values()) == sorted(found.largest.values(), reverse=True)


def test_the_fastest_layout_on_as_many_chips_is_no_slower_than_the_reviewed_one():
    found = layouts(rebel(), MOE)
    own = layout_speed(rebel().scenario, MOE, rebel().deployment.parallel)
    assert own.tokens_per_s_per_user == pytest.approx(rebel().speed(MOE).tokens_per_s_per_user)
    assert own.tokens_per_s_per_chip == pytest.approx(rebel().speed(MOE).tokens_per_s_per_chip)
    best = next(f for f in found.fastest if f.parallel.chips == own.parallel.chips)
    assert best.tokens_per_s_per_user >= own.tokens_per_s_per_user
    assert all(f.fits for f in (*found.fastest, *found.densest))
    assert [f.parallel.tp for f in found.along["tp"]] == [1, 2, 4, 8]
    assert all(f.parallel.ep == f.parallel.tp for f in found.along["tp"])


def test_a_model_is_laid_out_on_as_few_chips_as_hold_it():
    scenario = best_layout(small_machine().scenario, POINT)
    assert Parallel(**scenario.spec.deployment.parallel.model_dump()).chips == 1


def test_a_chip_with_more_of_something_is_no_slower():
    own = rebel().speed(MOE).tokens_per_s_per_user
    found = {variation.name: variation.varied for variation in variations(rebel(), MOE)}
    assert {"cores", "array shape", "HBM stacks", "SRAM", "link bandwidth"} <= set(found)
    for name in ("HBM stacks", "HBM bandwidth", "link bandwidth", "link latency", "kernel launch"):
        weaker, _, _, stronger = (v.speed.tokens_per_s_per_user for v in found[name])
        assert weaker <= own <= stronger


def test_only_a_rigid_array_is_reviewed_as_one():
    assert "array shape" not in {design.name for design in DESIGNS if design.applies(small_machine())}


def test_weak_figures_come_first_and_the_strongest_of_them_at_the_head():
    found = sureness(rebel(), MOE, 4)
    assert found.per_user.p10 <= found.per_user.p50 <= found.per_user.p90
    weak = [influence.weak for influence in found.influences]
    assert weak == sorted(weak, reverse=True)
    swings = [influence.swing for influence in found.influences if influence.weak]
    assert swings == sorted(swings, reverse=True)
    assert min(swings) >= 1.0


# the whole


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        coarse(patch)
        folder = tmp_path_factory.mktemp("review")
        path = write_small(folder, **{"tp: 2": "tp: 4"})
        code = execute([
            "review", str(path), "--batch", "16", "--samples", "4", "--parity", "h200-1",
            "--target", "tokens/s/user >= 5000", "--json", str(folder / "r.json"),
            "--html", str(folder / "r.html"),
        ])  # fmt: skip
        return code, folder


def test_a_review_says_its_verdict_first_and_names_its_levels(whole):
    code, folder = whole
    record = json.loads((folder / "r.json").read_text())
    assert code == 0
    assert record["verdict"][0].startswith("llama-3.1-8b fits on 4 chips of h100-hgx")
    assert any("serves a user faster" not in said for said in record["verdict"])
    assert {r["level"] for r in record["requirements"]} == {"step"}
    assert [r["target"].partition(",")[0] for r in record["requirements"]] == [
        "tokens/s/user >= 5000", "parity with h200-1", "parity with h200-1",
    ]  # fmt: skip
    missed = record["requirements"][0]
    assert all(one["least"] is None for one in missed["alone"])
    assert not missed["together"]["meets"]
    assert any("No tested combination reaches it" in said for said in record["verdict"])
    assert record["weights"]["flops"]["basis"] == "assumption"
    assert record["served"]["tokens_per_s_per_chip"] > 0
    page = (folder / "r.html").read_text()
    for heading in ("Verdict", "Rooflines", "What binds where", "Scaling", "Requirement: tokens/s/user"):
        assert heading in page


def test_a_machine_that_is_too_small_gets_a_verdict_too(monkeypatch, capsys):
    coarse(monkeypatch)
    arguments = ["--model", "llama-3.1-8b", "--cluster", "h100-1", "--batch", "8", "--samples", "4"]
    small = ["--set", "cluster.chip.memory.capacity=4 GiB", "--parity", "h100-1"]
    assert execute(["review", *arguments, *small]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "The model does not fit" in said
    assert "would hold it. Speeds of single steps below presume memory that holds it" in said


def test_a_batch_that_is_too_large_is_said_to_be():
    point = Point(10**6, 2048, 512)
    review = sim.Review(
        rebel(), point, rebel().speed(point), None, None, None, sureness(rebel(), MOE, 4), maps(rebel(), MOE),
        layouts(rebel(), MOE), (), (),
    )  # fmt: skip
    assert verdict(review)[0].startswith("A batch of 1,000,000 does not fit: ax-k1 takes")
    assert "Not even 16 times the capacity would hold it" in verdict(review)[0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give a scenario, or both --model and --cluster"),
        (["SCENARIO", "--model", "ax-k1"], "not both"),
        (["SCENARIO", "--samples", "2"], "--samples 2: at least 4"),
        (["SCENARIO", "--set", "fidelity=event"], "event is too slow"),
        (["SCENARIO", "--parity", "a100-hgx"], "--parity a100-hgx: .*no fp8"),
        (["SCENARIO", "--parity", "h201-hgx"], "--parity h201-hgx: .*did you mean"),
        (["SCENARIO", "--prompt", "0"], "--prompt 0: at least 1"),
        (["SCENARIO", "--target", "speed >= 1"], "unknown metric 'speed'"),
    ],
)
def test_a_faulty_review_ends_in_one_sentence(arguments, said, tmp_path, capsys):
    path = str(write_small(tmp_path))
    assert execute(["review", *(path if a == "SCENARIO" else a for a in arguments)]) == 2
    error = " ".join(capsys.readouterr().err.split())
    assert re.search(said, error)


def test_a_scenario_with_two_pools_is_refused():
    pools = sim.load(ROOT / "examples" / "ax-k1-pd-h200-rebel100.yaml")
    with pytest.raises(UserError, match="a review is of one pool"):
        sim.review(pools)


def test_a_model_on_a_chip_without_fp8_is_reviewed_in_bf16():
    found = sim.scenario_for("llama-3.1-8b", "a100-1", POINT)
    assert found.spec.deployment.precision.weights == "bf16"

"""Plans under a budget, under draws, and under the engines that chips come with."""

import json
from functools import cache
from pathlib import Path

import pytest
from small_scenario import SMALL_PLAN

import sim
from sim import UserError
from sim.cli import execute
from sim.hardware import read_chip
from sim.hardware.schema import ChipProfile
from sim.planning.executors.serial import SerialExecutor
from sim.planning.money import Ownership, Rental, Site
from sim.planning.plan.budget import parse_budget
from sim.planning.plan.engine import engine_of
from sim.planning.plan.plan import run_plan
from sim.planning.plan.schema import PlanSpec

ROOT = Path(__file__).parents[1]
SAMPLES = 8


@cache
def planned(budget: str = "80 USD/h"):
    spec = PlanSpec.model_validate(SMALL_PLAN | {"budget": budget})
    return run_plan(spec, ROOT, "small.yaml", SerialExecutor(), samples=SAMPLES)


def test_a_budget_buys_the_most_replicas_whose_bill_stays_within_it():
    plan = planned()
    assert [fleet.candidate for fleet in plan.budget] == ["h100", "a100-hgx"]
    for fleet in plan.budget:
        assert fleet.bill.usd_per_hour <= 80
        assert fleet.bill.usd_per_hour * (1 + 1 / fleet.replicas) > 80
        assert fleet.share == pytest.approx(fleet.served / 60.0)


@pytest.mark.parametrize("budget", ["20 kW", "3 racks"])
def test_power_and_racks_are_budgets_too(budget):
    plan = planned(budget)
    least = {"20 kW": lambda fleet: fleet.bill.watts / 20e3, "3 racks": lambda fleet: fleet.bill.racks / 3}
    assert plan.budget
    assert all(least[budget](fleet) <= 1 for fleet in plan.budget)
    assert plan.budget[0].served == max(fleet.served for fleet in plan.budget)


def test_twice_the_money_serves_about_twice_the_load():
    once, twice = planned("80 USD/h").budget[0], planned("160 USD/h").budget[0]
    assert twice.served >= 2 * once.served


def test_a_budget_too_small_for_one_replica_buys_nothing():
    assert planned("1 USD/h").budget == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [("10 M€", "write '10 MUSD'"), ("0 USD/h", "write '10 MUSD'"), ("10 MUSD", "paid by the hour")],
)
def test_a_faulty_budget_is_one_sentence(text, said):
    with pytest.raises(UserError, match=said):
        parse_budget(text, Rental())


def test_a_meter_never_shows_less_than_the_servers_draw():
    assert Site().pue.quantile(0.0) >= 1.0
    with pytest.raises(ValueError, match="the meter shows at least"):
        Site.model_validate({"pue": {"value": 0.9, "low": 0.8, "high": 1.2, "basis": "assumption"}})


def test_budgets_are_read_in_their_units():
    assert parse_budget("10 MUSD", Ownership(form="ownership")).amount == 10e6
    assert parse_budget("1 MW", Rental()).kind == "W"
    assert parse_budget("1 rack", Rental()).amount == 1


def test_costs_under_draws_are_ordered_bands_and_one_fleet_is_cheapest_in_each_draw():
    plan = planned()
    assert len(plan.certainty) == len(plan.options)
    assert sum(c.cheapest for c in plan.certainty) == pytest.approx(1.0)
    for option, c in zip(plan.options, plan.certainty, strict=True):
        assert 0 < c.usd_per_million.p10 < c.usd_per_million.p50 < c.usd_per_million.p90
        assert c.usd_per_million.p10 < option.usd_per_million.mean < c.usd_per_million.p90
        assert 0 <= c.fails < 1


def test_an_npu_is_planned_under_its_vendors_engine_unless_told_otherwise():
    def of(chip: str, plan: dict[str, object], own: dict[str, object]) -> object:
        return engine_of(ChipProfile.model_validate(read_chip(chip)), plan, own).get("family")

    assert of("rebel100", {}, {}) == "vllm-rbln"
    assert of("rngd", {"block_size": 16}, {}) == "furiosa-llm"
    assert of("npu-template", {}, {}) == "generic-npu"
    assert of("h200", {}, {}) is None
    assert of("rebel100", {"family": "vllm"}, {}) == "vllm"
    assert of("rebel100", {"family": "vllm"}, {"family": "generic-npu"}) == "generic-npu"


def test_the_command_prints_bands_and_budget_and_draws_both(tmp_path, capsys):
    file, page = tmp_path / "plan.json", tmp_path / "plan.html"
    small = SMALL_PLAN | {"candidates": ["h100-hgx"], "max_chips": 4}
    file.write_text(json.dumps(small))
    command = ["plan", str(file), "--uncertainty", "4", "--budget", "1 MW", "--backend", "serial"]
    assert execute([*command, "--html", str(page), "--json", "-"]) == 0
    written, shown = capsys.readouterr()
    record = json.loads(written)
    assert record["budget"]["fleets"][0]["requests_per_s"] > 60
    assert len(record["uncertainty"]) == len(record["options"])
    assert "Under draws of what is uncertain" in shown
    assert "With 1 MW" in shown
    assert "is cheapest in" in page.read_text()
    assert "requests/s at the knee" in page.read_text()


def test_too_few_draws_are_refused(tmp_path):
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(SMALL_PLAN))
    with pytest.raises(UserError, match="at least 4 draws"):
        sim.plan(file, uncertainty=2)

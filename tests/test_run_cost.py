"""What the fleet of a run costs, rented or owned, in USD and KRW."""

import json
from pathlib import Path

import pytest
from small_scenario import write_small

import sim
from sim.cli import execute
from sim.errors import UserError
from sim.planning.money import Ownership, Rental
from sim.planning.run_cost import read_money, run_cost

ROOT = Path(__file__).parents[1]


@pytest.fixture
def outcome(tmp_path):
    return sim.simulate(sim.load(write_small(tmp_path)))


def test_a_rented_fleet_costs_what_the_run_says(outcome):
    cost = run_cost(outcome, Rental())
    values = outcome.summary.values
    assert cost.usd_per_million == pytest.approx(values["usd_per_million_output_tokens"])
    assert cost.krw_per_million == pytest.approx(1400 * cost.usd_per_million)
    chip = outcome.deployment.cluster.chip
    assert cost.bill.usd_per_hour == pytest.approx(values["chips"] * chip.rental)


def test_an_owner_of_two_chips_pays_their_server(outcome):
    cost = run_cost(outcome, Ownership(form="ownership"))
    assert set(cost.bill.parts) == {"capital", "maintenance", "electricity", "racks"}
    assert cost.bill.usd_per_hour == pytest.approx(sum(cost.bill.parts.values()))
    record = cost.to_json()
    assert record["krw_per_hour"] == pytest.approx(1400 * cost.bill.usd_per_hour)
    assert json.loads(json.dumps(record)) == record


def test_two_pools_pay_for_the_chips_of_both():
    load = (
        "workload={arrivals: {process: poisson, rate: 2}, num_requests: 10, "
        "prompt_tokens: {distribution: constant, value: 99}, "
        "output_tokens: {distribution: constant, value: 9}}"
    )
    both = sim.simulate(sim.load(ROOT / "examples" / "ax-k1-pd-h200-rebel100.yaml", [load]))
    alone = sim.simulate(sim.load(ROOT / "examples" / "ax-k1-h200.yaml", [load]))
    terms = Ownership(form="ownership")
    assert run_cost(both, terms).bill.parts["capital"] > 1.2 * run_cost(alone, terms).bill.parts["capital"]


def test_terms_are_a_word_or_a_file(tmp_path):
    assert read_money("rental") == Rental()
    file = tmp_path / "money.yaml"
    file.write_text("form: ownership\nyears: 3\nsite: {krw_per_usd: 1500}\n")
    terms = read_money(str(file))
    assert isinstance(terms, Ownership)
    assert (terms.years.value, terms.site.krw_per_usd.value) == (3, 1500)


def test_faulty_terms_are_one_sentence(tmp_path):
    with pytest.raises(UserError, match=r"--money rent: write rental, ownership"):
        read_money("rent")
    file = tmp_path / "money.yaml"
    file.write_text("form: ownership\nyear: 3\n")
    with pytest.raises(UserError, match=r"money\.yaml.*year.*did you mean 'years'"):
        read_money(str(file))


def test_the_command_prints_usd_and_krw(tmp_path, capsys):
    assert execute(["run", str(write_small(tmp_path)), "--money", "ownership", "--json", "-"]) == 0
    written, shown = capsys.readouterr()
    record = json.loads(written)["money"]
    assert record["krw_per_million_output_tokens"] == pytest.approx(
        1400 * record["usd_per_million_output_tokens"]
    )
    for said in ("What the fleet costs", "KRW", "electricity, an hour", "kW at the meter, one rack"):
        assert said in shown


def test_a_price_that_nobody_states_is_refused(tmp_path, capsys):
    small = write_small(tmp_path, **{"h100-hgx": "rebel100-server", "tp: 2": "tp: 1"})
    assert execute(["run", str(small), "--money", "rental"]) == 2
    assert "price.rental" in capsys.readouterr().err
